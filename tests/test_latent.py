"""The latent space: networks cut at a layer, maps and retrieval against brute force and scikit-learn."""

import dataclasses
import importlib.util
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from kerascv_course.latent import ImageIndex, extract_features, feature_extractor, project
from kerascv_course.latent.codes import Codes
from kerascv_course.latent.distances import METRICS
from kerascv_course.latent.distances import distances as by_formula
from kerascv_course.latent.quality import map_quality
from kerascv_course.latent.tsne import _small

HAS_OPENTSNE = importlib.util.find_spec("openTSNE") is not None


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pictures(count: int = 3, side: int = 8) -> np.ndarray:
    return rng().random((count, side, side, 3)).astype("float32")


def groups(count: int = 90, width: int = 12, seed: int = 0) -> np.ndarray:
    """Return three groups of features that lie far apart, by turns."""
    centres = 8 * np.eye(3, width)[np.arange(count) % 3]
    return (centres + rng(seed).normal(size=(count, width))).astype("float32")


# --------------------------------------------------------------------------------------------- feature_extractor
def base() -> keras.Model:
    parts = [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts], name="base")


def flat_model() -> keras.Model:
    inputs = keras.Input((8, 8, 3), name="images")
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.5, name="drop")(layers.Dense(6, activation="relu", name="features")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="answer")(x), name="flat")


def nested_model() -> keras.Model:
    inputs = keras.Input((8, 8, 3), name="images")
    x = base()(ops.multiply(inputs, 2.0))
    head = keras.Sequential([layers.Dense(6, name="dense1"), layers.Dense(3, name="dense2")], name="head")
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D(name="mean")(x)), name="nested")


@pytest.mark.smoke
def test_by_default_the_network_is_cut_before_its_classifier():
    model, images = flat_model(), pictures()
    extractor = feature_extractor(model)
    features = extractor.predict(images, verbose=0)
    assert features.shape == (3, 6)
    logits = features @ model.layers[-1].kernel.numpy() + model.layers[-1].bias.numpy()
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(images, verbose=0), wanted, atol=1e-5)


def test_the_classifier_is_found_inside_a_nested_head():
    model, images = nested_model(), pictures()
    features = feature_extractor(model).predict(images, verbose=0)
    dense2 = model.get_layer("head").get_layer("dense2")
    wanted = features @ ops.convert_to_numpy(dense2.kernel) + ops.convert_to_numpy(dense2.bias)
    np.testing.assert_allclose(model.predict(images, verbose=0), wanted, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "base/conv"])
def test_a_nested_layer_has_the_output_that_its_own_network_gives(layer):
    model, images = nested_model(), pictures()
    inner = model.get_layer("base")
    wanted = inner.get_layer("conv")(2 * images)
    found = feature_extractor(model, layer).predict(images, verbose=0)
    np.testing.assert_allclose(found, ops.convert_to_numpy(wanted), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (-1, (3,)),
        (0, (8, 8, 3)),
        ("images", (8, 8, 3)),
        ("base", (6, 6, 4)),
        ("head/dense1", (6,)),
        ("mean", (4,)),
    ],
)
def test_a_layer_is_found_by_name_and_by_place(layer, shape):
    assert feature_extractor(nested_model(), layer).output_shape == (None, *shape)


def test_of_a_layer_that_is_called_twice_the_last_output_counts():
    inputs, twice = keras.Input((4,)), layers.Dense(4, name="twice")
    model = keras.Model(inputs, twice(twice(inputs)))
    x = rng().random((2, 4)).astype("float32")
    np.testing.assert_allclose(
        feature_extractor(model, "twice").predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )


def test_weights_are_shared_and_the_model_stays_as_it_was():
    model, images = nested_model(), pictures()
    config, before = model.get_config(), model.predict(images, verbose=0)
    extractor = feature_extractor(model, "dense1")
    assert model.get_config() == config
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    assert extractor.get_layer("base") is model.get_layer("base")
    assert feature_extractor(model, "dense1").get_config() == extractor.get_config()  # the cache finds it again


def test_an_extractor_is_saved_as_any_model(tmp_path):
    extractor, images = feature_extractor(nested_model()), pictures()
    extractor.save(tmp_path / "extractor.keras")
    again = keras.models.load_model(tmp_path / "extractor.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), extractor.predict(images, verbose=0), atol=1e-6)


def test_extract_features_takes_the_layer_too():
    model, images = nested_model(), pictures()
    found = extract_features(model, images, layer="base/conv", verbose=0)
    wanted = feature_extractor(model, "conv").predict(images, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("model", "layer", "error", "text"),
    [
        (flat_model, "cnov", ValueError, "Fit layers: 'conv'"),
        (flat_model, 6, ValueError, "from -6 to 5"),
        (flat_model, True, TypeError, "an integer from -6 to 5"),
        (flat_model, 1.5, TypeError, "an integer from -6 to 5"),
        (base, None, ValueError, "has no classifier"),
        (lambda: "model", None, TypeError, "must be a Keras model"),
        (Subclassed, None, TypeError, "a functional or Sequential model"),
        (lambda: keras.Sequential([layers.Dense(2)]), None, ValueError, "must be built"),
    ],
)
def test_what_cannot_be_cut_is_named(model, layer, error, text):
    with pytest.raises(error, match=text):
        feature_extractor(model(), layer)


def test_a_name_that_two_nested_models_have_must_be_told_apart():
    first, second = base(), base()
    second.name = "base2"
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Concatenate()([first(inputs), second(inputs)]))
    with pytest.raises(ValueError, match=r"Give the path: 'base/conv', 'base2/conv'"):
        feature_extractor(model, "conv")


# --------------------------------------------------------------------------------------------- nearest neighbours
def brute_force(metric: str, features: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the neighbours by the formula, one query at a time, of equal ones the smaller index first."""
    data, found = features.astype("float64"), []
    for query in queries.astype("float64"):
        if metric == "l1":
            distances = np.mean(np.abs(data - query), axis=1)
        elif metric == "l2":
            distances = np.sqrt(np.sum((data - query) ** 2, axis=1))
        else:
            lengths = np.sqrt(np.sum(data**2, axis=1)) * np.sqrt(np.sum(query**2))
            cosines = np.divide(np.sum(data * query, axis=1), lengths, out=np.zeros(len(data)), where=lengths > 0)
            distances = np.maximum(1 - cosines, 0)
        order = np.argsort(distances, kind="stable")[:k]
        found.append((order, distances[order]))
    indices, distances = zip(*found, strict=True)
    return np.array(indices), np.array(distances)


def sparse(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Return features as after a ReLU, with many zeros."""
    return np.maximum(rng(seed).normal(size=(count, width)), 0).astype("float32")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("count", "width", "k"), [(3000, 84, 1), (3001, 84, 7), (401, 1300, 3), (700, 3, 40), (20, 5, 20)]
)
def test_the_neighbours_are_those_of_the_formula(metric, count, width, k):
    features, queries = sparse(count, width), sparse(60, width, seed=1)
    found = ImageIndex(features, metric=metric).query(queries, k)
    indices, distances = brute_force(metric, features, queries, k)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found.indices, indices)
    assert (found.indices.dtype, found.distances.dtype) == ("int64", "float32")


@pytest.mark.smoke
def test_the_slides_loop_finds_the_same():
    features, queries = sparse(500, 84), sparse(20, 84, seed=1)
    found = ImageIndex(features).query(queries, k=5)
    for query, indices, distances in zip(queries, found.indices, found.distances, strict=True):
        slide = np.mean(np.abs(features - query), axis=1)
        assert indices.tolist() == np.argsort(slide)[:5].tolist()
        np.testing.assert_allclose(distances, np.sort(slide)[:5], rtol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_of_equal_distances_the_smaller_index_comes_first(metric):
    distinct = rng().integers(0, 2, (40, 6)).astype("float32")
    features = np.concatenate([distinct[rng(2).integers(0, 40, 3000)], np.zeros((50, 6), "float32")])
    found = ImageIndex(features, metric=metric).query(distinct, k=30)
    exact = by_formula(metric, features, distinct, np.broadcast_to(np.arange(len(features)), (40, len(features))))
    wanted = np.argsort(exact, axis=1, kind="stable")[:, :30]
    np.testing.assert_array_equal(found.indices, wanted)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_rounding_of_the_fast_search_changes_nothing(metric, offset):
    features = (sparse(2000, 16) + offset).astype("float32")
    queries = features[:30] + rng(3).normal(scale=1e-3, size=(30, 16)).astype("float32")
    found = ImageIndex(features, metric=metric).query(queries, k=3)
    places = np.broadcast_to(np.arange(2000), (30, 2000))
    wanted = np.argsort(by_formula(metric, features, queries, places), axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found.indices, wanted)


@pytest.mark.parametrize("columns", [1, 4, 16])
def test_outliers_and_queries_far_outside_are_searched_exactly_in_l1(columns):
    features = rng(4).standard_cauchy((2001, columns)).astype("float32")
    features[:100] = 7  # many equal ones, and features without any spread
    queries = np.concatenate([features[90:120], 1e4 + sparse(10, columns), -1e4 - sparse(10, columns)])
    indices, _ = brute_force("l1", features, queries, 5)
    np.testing.assert_array_equal(ImageIndex(features).query(queries, k=5).indices, indices)


@pytest.mark.parametrize("scale", [1e-25, 1e14])
@pytest.mark.parametrize("metric", METRICS)
def test_tiny_and_huge_features_are_searched_too(metric, scale):
    features = (sparse(300, 8) * np.float32(scale)).astype("float32")
    found = ImageIndex(features, metric=metric).query(features[:40], k=1)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(40))


def test_codes_of_l1_are_the_widths_above_the_smallest_value_rounded_down():
    features = (3 * rng(5).normal(size=(601, 5)) * [1, 4, 2, 0, 3] - 7).astype("float32")
    codes = Codes(features)
    assert codes.order.tolist() == [1, 4, 2, 0, 3]
    above = (features - features.min(axis=0)).astype("float64")[:, codes.order]
    assert codes.width == pytest.approx(np.quantile(above, 0.999) / 63)
    assert not codes.codes[:, 601:].any()
    np.testing.assert_array_equal(codes.codes[:, :601].T, np.minimum(np.floor(above / codes.width), 63))


def test_euclidean_neighbours_are_those_of_scikit_learn():
    features, queries = sparse(1000, 30), sparse(50, 30, seed=1)
    wanted, indices = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(features).kneighbors(queries)
    found = ImageIndex(features, metric="l2").query(queries, k=4)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, wanted, rtol=1e-5)


def test_a_zero_vector_is_at_cosine_distance_one_from_all():
    index = ImageIndex(np.array([[0.0, 0], [-1, 0], [1, 1]]), metric="cosine")
    found = index.query(np.array([[1.0, 0], [0, 0]]), k=3)
    assert found.indices.tolist() == [[2, 0, 1], [0, 1, 2]]
    np.testing.assert_allclose(found.distances, [[1 - 0.5**0.5, 1, 2], [1, 1, 1]], rtol=1e-6)


def test_the_features_are_not_copied_and_not_changed():
    features = sparse(100, 4)
    before = features.copy()
    index = ImageIndex(features)
    index.query(features, k=2)
    assert index.features is features
    np.testing.assert_array_equal(features, before)
    assert ImageIndex(features.astype("float64")).features.dtype == "float32"


# --------------------------------------------------------------------------------------------- the index
LINE = np.array([[0.0], [1], [2], [3], [10]])


def test_the_majority_decides_and_among_equals_the_nearest():
    index = ImageIndex(LINE, labels=["a", "b", "b", "a", "c"], metric="l2")
    queries = np.array([[0.2], [2.9]])
    assert index.classify(queries, k=1).tolist() == ["a", "a"]
    assert index.classify(queries, k=2).tolist() == ["a", "a"]  # one vote each: the nearest
    assert index.classify(queries, k=3).tolist() == ["b", "b"]
    assert index.classify(queries, k=5).tolist() == ["a", "a"]  # two each


def test_precision_is_the_share_of_neighbours_with_the_class_of_the_query():
    index = ImageIndex(LINE, labels=[0, 1, 1, 0, 2])
    assert index.precision_at_k(np.array([[0.2], [9.0]]), [0, 0], k=2) == 0.5
    assert index.precision_at_k(LINE[:1], [0], k=4) == 0.25  # all but itself
    with pytest.raises(ValueError, match=r"`k` of `ImageIndex.precision_at_k` .* from 1 to 4"):
        index.precision_at_k(LINE, [0] * 5, k=5)


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_is_not_its_own_neighbour(metric):
    corners = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [0.3, 1]])
    index = ImageIndex(corners, labels=["a", "a", "b", "b", "a"], metric=metric)
    assert index.precision_at_k(corners, ["a", "a", "b", "b", "a"], k=1) == pytest.approx(4 / 5)
    rounded = corners * (1 + 1e-6 * np.array([[1], [-1], [1], [-1], [1]]))  # as from a batch of another size
    assert index.precision_at_k(rounded, ["a", "a", "b", "b", "a"], k=1) == pytest.approx(4 / 5)


def test_of_copies_with_other_labels_the_query_itself_is_left_out():
    copies = ImageIndex(np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]]), labels=["a", "b", "b", "b"])
    assert copies.precision_at_k(copies.features, copies.labels, k=2) == pytest.approx(
        (0 + 1 / 2 + 1 / 2 + 1 / 2) / 4
    )


@pytest.mark.smoke
@pytest.mark.parametrize("labels", [None, [0, 1, 1, 0, 2], list("abcde")])
def test_a_saved_index_is_the_same(tmp_path, labels):
    images = rng().integers(0, 255, (5, 4, 4, 3), dtype="uint8")
    index = ImageIndex(LINE, images, labels, metric="cosine")
    index.save(tmp_path / "index.npz")
    index.save(tmp_path / "index.npz")
    again = ImageIndex.load(tmp_path / "index.npz")
    assert (again.metric, len(again)) == ("cosine", 5)
    for name in ("features", "images", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(index, name))
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"]


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "index.npz"
    ImageIndex(LINE, labels=[0, 1, 1, 0, 2]).save(path)
    whole = path.read_bytes()
    damaged = [whole[: len(whole) // 2], b"", b"text", whole[:70] + b"\x00\xff" + whole[72:]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="wrote, undamaged"):
            ImageIndex.load(path)
    np.savez(path, features=LINE)
    with pytest.raises(ValueError, match="wrote, undamaged"):
        ImageIndex.load(path)
    with pytest.raises(FileNotFoundError, match="must be a file"):
        ImageIndex.load(tmp_path / "none.npz")


BAD_INDEX = [
    ({"features": [["a"]]}, TypeError, "Strings are no numbers"),
    ({"features": np.zeros(3)}, ValueError, r"`\[None\]`"),
    ({"features": np.zeros((2, 3, 3))}, ValueError, "reshape"),
    ({"features": np.zeros((0, 3))}, ValueError, "not empty"),
    ({"features": np.array([[np.nan]])}, ValueError, "finite numbers"),
    ({"features": np.array([[1e20]])}, ValueError, "at most 1e"),
    ({"features": LINE, "metric": "euclidean"}, ValueError, "'l1', 'l2' or 'cosine'"),
    ({"features": LINE, "labels": [0, 1]}, ValueError, "one label for each of the 5 images"),
    ({"features": LINE, "labels": [0.5] * 5}, TypeError, "integers from 0"),
    ({"features": LINE, "images": np.zeros((4, 8, 8))}, ValueError, "as many images as there are features, 5"),
    ({"features": LINE, "images": 1}, TypeError, "an array of as many images"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), BAD_INDEX)
def test_a_bad_index_is_refused_by_name(arguments, error, text):
    with pytest.raises(error, match=text):
        ImageIndex(**arguments)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda index: index.query(LINE, k=6), ValueError, "`k` of `ImageIndex.query` .* from 1 to 5"),
        (lambda index: index.query(LINE, k=0), ValueError, "from 1 to 5"),
        (lambda index: index.query(LINE, k=1.0), TypeError, "an integer"),
        (lambda index: index.query(np.zeros((2, 3))), ValueError, r"\(images, 1\)"),
        (lambda index: index.query(np.array([[np.inf]])), ValueError, "finite"),
        (lambda index: index.classify(LINE), ValueError, "known to the index"),
        (lambda index: index.precision_at_k(LINE, [0] * 5, k=1), ValueError, "known to the index"),
    ],
)
def test_a_bad_query_is_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call(ImageIndex(LINE))


def test_the_labels_of_queries_must_be_as_many_as_they():
    with pytest.raises(ValueError, match="one label for each of the 2 images"):
        ImageIndex(LINE, labels=[0] * 5).precision_at_k(LINE[:2], [0] * 5, k=1)


# --------------------------------------------------------------------------------------------- quality of a map
@pytest.mark.parametrize("k", [1, 5, 12])
def test_trustworthiness_is_that_of_scikit_learn(k):
    features, points = rng().normal(size=(150, 6)), rng(1).normal(size=(150, 2))
    trust, _ = map_quality(features, points, k, seed=0)
    assert trust == pytest.approx(trustworthiness(features, points, n_neighbors=k), abs=1e-12)


def test_a_sample_estimates_the_trustworthiness_of_all():
    features = groups(2100, width=6)
    points = features[:, :2] + rng().normal(size=(2100, 2))
    trust, kept = map_quality(features, points, 10, seed=0)
    assert trust == pytest.approx(trustworthiness(features, points, n_neighbors=10), abs=0.01)
    assert (trust, kept) == map_quality(features, points, 10, seed=0)


def test_neighbours_kept_is_the_share_that_is_counted_by_hand():
    features = np.array([[0.0], [1], [3], [7]])
    points = np.array([[0.0, 0], [1, 0], [9, 0], [3, 0]])  # nearest: 1, 0, 1, 2 before and 1, 0, 3, 1 after
    assert map_quality(features, points, 1, seed=0)[1] == 0.5


# --------------------------------------------------------------------------------------------- project
ENGINES = ["sklearn", pytest.param("opentsne", marks=pytest.mark.skipif(not HAS_OPENTSNE, reason="not installed"))]


def test_pca_is_that_of_scikit_learn_up_to_the_sign():
    features = groups()
    found = project(features, method="pca")
    wanted = PCA(2).fit_transform(features)
    np.testing.assert_allclose(np.abs(found.points), np.abs(wanted), atol=1e-4)
    np.testing.assert_allclose(found.place(features), found.points, atol=1e-5)
    assert (found.engine, found.perplexity) == ("scikit-learn", None)
    assert found.caption.startswith("PCA, 90 points, scikit-learn: trustworthiness 0.")
    assert found.trustworthiness == pytest.approx(
        trustworthiness(features, found.points, n_neighbors=10), abs=1e-6
    )


def test_the_sign_of_pca_does_not_depend_on_the_order_of_the_images():
    features = groups()
    first, second = project(features, method="pca"), project(features[::-1].copy(), method="pca")
    np.testing.assert_allclose(first.points, second.points[::-1], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_map_keeps_groups_together_and_places_new_points_in_theirs(engine):
    features, new = groups(), groups(9, seed=5)
    found = project(features, perplexity=8, engine=engine, pca_components=5)
    assert found.points.shape == (90, 2)
    assert found.points.dtype == "float32"
    assert found.trustworthiness == pytest.approx(
        trustworthiness(features, found.points, n_neighbors=10), abs=1e-5
    )
    assert found.trustworthiness > 0.9
    assert (
        ImageIndex(found.points, labels=np.arange(90) % 3).precision_at_k(found.points, np.arange(90) % 3, k=5)
        > 0.95
    )
    placed = found.place(new)
    assert placed.dtype == "float32"
    assert ImageIndex(found.points, labels=np.arange(90) % 3).classify(placed, k=5).tolist() == [0, 1, 2] * 3
    assert {"sklearn": "scikit-learn", "opentsne": "openTSNE (Barnes-Hut)"}[engine] == found.engine
    assert found.caption == (
        f"t-SNE, perplexity 8, 90 points, {found.engine}: trustworthiness {found.trustworthiness:.3f}, "
        f"{100 * found.neighbours_kept:.0f}% of the 10 nearest neighbours kept."
    )
    assert len(repr(found)) < 300
    again = project(features, perplexity=8, engine=engine, pca_components=5)
    np.testing.assert_array_equal(again.points, found.points)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.points = None
    with pytest.raises(ValueError, match=r"\(images, 12\)"):
        found.place(new[:, :3])


def test_t_sne_starts_from_the_given_figure_drawn_together():
    start = rng(2).normal(size=(24, 2)) * [3, 5]
    np.testing.assert_allclose(_small(start), start / np.std(start[:, 0]) / 10_000)


@pytest.mark.parametrize(
    ("count", "perplexity", "neighbours"), [(4, 1, 1), (5, 4 / 3, 2), (22, 7, 10), (91, 30, 10), (92, 30, 10)]
)
def test_few_images_are_drawn_with_fewer_neighbours(count, perplexity, neighbours):
    found = project(groups(count), engine="sklearn")
    assert (found.points.shape, found.perplexity) == ((count, 2), pytest.approx(perplexity))
    assert found.neighbours == neighbours == project(groups(count), method="pca").neighbours
    assert 0 <= found.trustworthiness <= 1


@pytest.mark.parametrize(("count", "method", "least"), [(3, "tsne", 4), (2, "pca", 3), (1, "pca", 3)])
def test_too_few_images_for_a_map_are_refused(count, method, least):
    features = np.arange(3 * count).reshape(count, 3)
    with pytest.raises(ValueError, match=rf"`features` of `project` must be .*{least} images or more"):
        project(features, method=method)


def test_without_opentsne_scikit_learn_makes_the_map(monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    assert project(groups(22), perplexity=7).engine == "scikit-learn"  # a third of the 21 others
    with pytest.raises(ImportError, match=r'pip install "kerascv_course\[latent\]"'):
        project(groups(30), perplexity=5, engine="opentsne")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_OPENTSNE, reason="openTSNE is not installed")
def test_from_3000_points_the_gradient_is_computed_by_fft():
    found = project(groups(3000))
    assert found.engine == "openTSNE (FFT)"
    assert found.trustworthiness > 0.85


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"features": "a.npy"}, TypeError, r"an array \(images, features\)"),
        ({"features": np.full((40, 3), np.nan)}, ValueError, "finite numbers"),
        ({"features": np.ones((40, 3))}, ValueError, "features that differ"),
        ({"features": np.ones((40, 1))}, ValueError, "two features or more"),
        (
            {"features": groups(22), "perplexity": 8},
            ValueError,
            "`perplexity` .* at most 7, .* There are 22 images",
        ),
        ({"features": groups(22), "perplexity": 7.01}, ValueError, "at most 7, a third of the other images"),
        ({"features": groups(22), "perplexity": 0.99}, ValueError, "at least 1"),
        ({"features": groups(22), "perplexity": "5"}, TypeError, "a number"),
        ({"features": groups(20), "method": "umap"}, ValueError, "'tsne' or 'pca'"),
        ({"features": groups(20), "engine": "annoy"}, ValueError, "'opentsne' or 'sklearn'"),
        ({"features": groups(40), "engine": "opentsne", "method": "pca"}, ValueError, "None or 'sklearn'"),
        ({"features": groups(40), "pca_components": 1}, ValueError, "at least 2"),
        ({"features": groups(40), "seed": -1}, ValueError, "from 0"),
    ],
)
def test_a_bad_projection_is_refused_by_name(arguments, error, text):
    with pytest.raises(error, match=text):
        project(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_a_search_over_50000_x_1280_stays_under_a_gigabyte_above_the_data(metric, measured):
    program = (
        "import numpy as np\n"
        "from kerascv_course.latent import ImageIndex\n"
        "data = np.random.default_rng(0).random((50_000, 1280), 'float32')\n"
        "before = peak()\n"
        f"ImageIndex(data, metric={metric!r}).query(data[:100], k=5)\n"
        "print(peak() - before)"
    )
    assert float(measured(program)[-1]) < 1000
