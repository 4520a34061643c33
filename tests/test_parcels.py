"""Parcels: features against boxes measured by hand, and what the generator promises."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from kerascv_course.classic import PARCEL_FEATURES, parcel_features
from kerascv_course.datasets import ImageDataset, load_parcels


def box(height: int, width: int, level: float, side: int = 40) -> np.ndarray:
    """Return one depth map with an upright box, at row 5 and column 7."""
    depth = np.zeros((1, side, side), "uint8")
    depth[0, 5 : 5 + height, 7 : 7 + width] = level
    return depth


def measured(depth: np.ndarray) -> dict[str, float]:
    return dict(zip(PARCEL_FEATURES, parcel_features(depth[..., None])[0], strict=True))


@pytest.mark.smoke
@pytest.mark.parametrize(("height", "width"), [(6, 8), (20, 21), (1, 1), (3, 4)])
def test_a_box_has_the_features_measured_by_hand(height, width):
    found = measured(box(height, width, 100))
    diagonal = np.hypot(height, width)
    if min(height, width) > 1:
        assert found.pop("perimeter") == 2 * (height - 1) + 2 * (width - 1)
    found.pop("perimeter", None)
    wanted = {
        "area": height * width,
        "longest_diagonal": diagonal,
        "other_diagonal": diagonal,
        "mean_height": 100,
        "height_std": 0,
    }
    wanted |= {f"height_share_{index}": float(index == 2) for index in range(8)}  # 69.75 to 100.625
    assert found == pytest.approx(wanted)


def test_heights_are_those_of_the_parcel_alone():
    depth = box(4, 10, 50)
    depth[0, 5:9, 7:12] = 150  # one half is higher
    depth[0, 30] = 8  # noise of the belt, not above the limit
    found = measured(depth)
    assert (found["mean_height"], found["height_std"]) == (100, 50)
    assert (found["height_share_1"], found["height_share_4"]) == (0.5, 0.5)
    assert found["area"] == 40


def test_what_is_above_the_largest_height_is_in_the_last_range():
    found = measured(2.0 * box(4, 4, 250))
    assert [found[f"height_share_{index}"] for index in range(8)] == [0] * 7 + [1]


def test_two_boxes_are_measured_as_one_parcel():
    depth = box(4, 4, 60)
    depth[0, 5:9, 20:24] = 60
    found = measured(depth)
    assert found["area"] == 32
    assert found["perimeter"] == 2 * 12
    assert found["longest_diagonal"] == pytest.approx(np.hypot(4, 17))


def test_turning_a_box_changes_its_diagonals_by_pixels_only():
    y, x = np.indices((80, 80)) - 39.5
    for angle in np.radians([10, 30, 45, 77]):
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        found = measured(np.where((np.abs(u) < 20) & (np.abs(v) < 12), 90, 0)[None])
        assert found["longest_diagonal"] == pytest.approx(np.hypot(40, 24), abs=2)
        assert found["other_diagonal"] == pytest.approx(np.hypot(40, 24), abs=3)
        assert found["area"] == pytest.approx(40 * 24, rel=0.03)
        assert found["perimeter"] == pytest.approx(2 * (40 + 24), rel=0.06)


def test_a_bent_corner_shows_in_the_other_diagonal():
    depth = box(20, 30, 40)
    for row in range(10):
        depth[0, 5 + row, 7 : 7 + 10 - row] = 0  # the upper left corner is gone
    found = measured(depth)
    assert found["longest_diagonal"] == pytest.approx(np.hypot(20, 30))
    assert found["other_diagonal"] < 0.9 * found["longest_diagonal"]


def test_a_map_without_a_parcel_gives_zeros():
    depth = np.concatenate([np.full((1, 40, 40), 5, "uint8"), box(5, 5, 50)])
    found = parcel_features(depth[..., None])
    assert not found[0].any()
    assert found[1].any()


@pytest.mark.parametrize(
    ("images", "error", "texts"),
    [
        (box(2, 2, 9), ValueError, ["images", "[..., None]"]),
        (np.zeros((2, 8, 8, 3)), ValueError, ["images", "(2, 8, 8, 3)"]),
        (np.full((1, 8, 8, 1), np.nan), ValueError, ["images", "finite", "nan"]),
        ("maps", TypeError, ["images"]),
    ],
)
def test_what_is_wrong_is_named(images, error, texts):
    with pytest.raises(error) as caught:
        parcel_features(images)
    for text in texts:
        assert text in str(caught.value)


# ------------------------------------------------------------------------------------------ the generators
@pytest.fixture(scope="module")
def parcels() -> ImageDataset:
    return load_parcels()


def test_parcels_are_told_apart_by_their_features_but_not_all_of_them(parcels):
    train, test = parcel_features(parcels.x_train), parcel_features(parcels.x_test)
    forest = RandomForestClassifier(100, random_state=0).fit(train, parcels.y_train)
    assert 0.83 < forest.score(test, parcels.y_test) < 0.95
    alone = RandomForestClassifier(50, max_depth=5, random_state=0).fit(train[:, :1], parcels.y_train)
    assert alone.score(test[:, :1], parcels.y_test) < 0.6


@pytest.mark.smoke
def test_parcels_are_the_same_for_a_seed_and_others_for_another():
    few = load_parcels(32, seed=5)
    more = load_parcels(64, seed=5)
    np.testing.assert_array_equal(few.x_train, more.x_train[:24])
    assert (few.x_train != load_parcels(32, seed=6).x_train).any()
    assert few.class_counts == {"envelope": 6, "box": 6, "bag": 6, "double": 6}
    assert "synthetic" in few.source


def test_the_parcels_of_a_seed_stay_those_of_the_first_version():
    heights = load_parcels(32).x_train.reshape(24, -1).mean(axis=1)
    assert heights[0::4] == pytest.approx([1.587, 4.21, 1.824, 2.587, 2.175, 1.41], abs=0.01)  # envelopes
    assert heights[1::4] == pytest.approx([16.516, 7.511, 20.297, 11.464, 14.76, 2.739], abs=0.01)  # boxes
    assert heights[2::4] == pytest.approx([3.624, 4.026, 3.167, 7.567, 8.588, 14.771], abs=0.01)  # bags
    assert heights[3::4] == pytest.approx([12.967, 14.015, 19.423, 9.03, 12.796, 7.17], abs=0.01)  # doubles


def test_every_map_shows_a_parcel_away_from_the_border(parcels):
    for images in (parcels.x_train, parcels.x_test):
        is_parcel = images[..., 0] > 8
        assert is_parcel.sum(axis=(1, 2)).min() > 60
        touches = is_parcel[:, [0, -1]].any(axis=(1, 2)) | is_parcel[:, :, [0, -1]].any(axis=(1, 2))
        assert touches.mean() < 0.05


@pytest.mark.parametrize(
    ("call", "error", "texts"),
    [
        (lambda: load_parcels(15), ValueError, ["count", "load_parcels", "15"]),
        (lambda: load_parcels(seed=-1), ValueError, ["seed", "load_parcels"]),
        (lambda: load_parcels(20.0), TypeError, ["count", "20.0"]),
    ],
)
def test_what_is_wrong_with_a_generator_is_named(call, error, texts):
    with pytest.raises(error) as caught:
        call()
    for text in texts:
        assert text in str(caught.value)
