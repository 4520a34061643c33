"""Augmentation against hand-made warps, SciPy, Keras' own layers, and formulas recomputed from the labels."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage

from kerascv_course.augmentation import (
    AffineBatches,
    RandomAffine,
    augment_by_class,
    balanced_indices,
    cutmix,
    label_preserved,
    mixup,
    pipeline,
    test_time_augmentation,
    warp,
)
from kerascv_course.datasets import load_patches
from kerascv_course.transfer import TransferModel


@pytest.fixture
def tf():
    """Return TensorFlow, for tests of what works in `tf.data` on this backend alone."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("in tf.data own layers work on the TensorFlow backend")
    return pytest.importorskip("tensorflow")


def array(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def ramp(height: int, width: int) -> np.ndarray:
    """Return an image whose values bilinear interpolation finds without error."""
    rows, columns = np.mgrid[:height, :width]
    return (3.0 * columns + 5.0 * rows)[None, :, :, None].astype("float32")


def photographs(count: int = 6) -> np.ndarray:
    return load_patches().x_train[:count]


def rgb(count: int, side: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype("float32")


EVERYTHING = {
    "flip": "horizontal_and_vertical",
    "translation": 0.2,
    "rotation": 0.1,
    "zoom": 0.2,
    "shear": 0.3,
}


# One warp: hand-made cases


@pytest.mark.smoke
def test_a_shift_by_a_pixel_moves_every_value_and_fills_the_border():
    image = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    layer = RandomAffine(translation=(1 / 3, 1 / 3), fill_mode="constant")
    assert array(layer(image + 1))[0, :, :, 0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]


@pytest.mark.parametrize("fill_mode", ["reflect", "nearest", "constant"])
def test_half_a_pixel_is_the_mean_of_two_neighbours(fill_mode):
    row = np.array([0, 10, 30, 70], "float32").reshape(1, 1, 4, 1)
    half = np.array([[1, 0, 0.5, 0, 1, 0, 0, 0]], "float32")
    border = {"reflect": 70, "nearest": 70, "constant": 35}[fill_mode]
    np.testing.assert_allclose(array(warp(row, half, fill_mode=fill_mode)).ravel(), [5, 20, 50, border], atol=1e-3)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarters_of_a_turn_are_exact_and_in_the_direction_of_keras(quarters):
    images = rgb(2, 6)
    turned = array(RandomAffine(rotation=(quarters / 4, quarters / 4))(images))
    np.testing.assert_allclose(turned, np.rot90(images, quarters, axes=(1, 2)), atol=0.05)
    theirs = array(layers.RandomRotation((quarters / 4, quarters / 4))(images))
    np.testing.assert_allclose(turned, theirs, atol=0.05)


def test_flips_mirror_half_of_the_images_exactly():
    images = rgb(400, 4)
    moved = array(RandomAffine(flip="horizontal", seed=3)(images))
    mirrored = np.array([np.allclose(a, b[:, ::-1], atol=1e-3) for a, b in zip(moved, images, strict=True)])
    same = np.array([np.allclose(a, b, atol=1e-3) for a, b in zip(moved, images, strict=True)])
    assert (mirrored ^ same).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_a_shear_moves_rows_by_their_distance_from_the_centre():
    image = ramp(9, 9)
    matrices = RandomAffine(shear=(0.25, 0.25)).matrices(50, (9, 9))
    moved = array(warp(np.repeat(image, 50, axis=0), matrices))
    np.testing.assert_allclose(moved[:, 4, 4, 0], image[0, 4, 4, 0], atol=1e-3)  # the centre stays
    slopes = {round(float(value), 3) for value in moved[:, 5, 4, 0] - moved[:, 4, 4, 0]}
    assert slopes == {5 + 3 * 0.25, 5 - 3 * 0.25}  # one row further: a quarter of a column to either side


# One warp: other libraries


@pytest.mark.parametrize(
    ("fill_mode", "theirs"), [("reflect", "reflect"), ("nearest", "nearest"), ("constant", "grid-constant")]
)
def test_any_warp_is_that_of_scipy(fill_mode, theirs):
    images = photographs(4).astype("float32")[:, :, 3:]  # not square
    matrices = RandomAffine(**EVERYTHING).matrices(4, images.shape[1:3], seed=1)
    ours = array(warp(images, matrices, fill_mode=fill_mode))
    for image, (a0, a1, a2, b0, b1, b2, _, _), moved in zip(images, matrices, ours, strict=True):
        for channel in range(3):
            expected = ndimage.affine_transform(
                image[..., channel], [[b1, b0], [a1, a0]], [b2, a2], order=1, mode=theirs
            )
            np.testing.assert_allclose(moved[..., channel], expected, atol=0.02)


STEPS = {
    "translation": lambda span: layers.RandomTranslation(span, span),
    "rotation": lambda span: layers.RandomRotation(span),
    "zoom": lambda span: layers.RandomZoom(span),
}


@pytest.mark.parametrize("strengths", [
    {"translation": 0.11}, {"rotation": 0.07}, {"zoom": -0.2}, {"zoom": 0.15},
    {"translation": 0.06, "rotation": 0.07}, {"translation": -0.05, "rotation": -0.04, "zoom": 0.1},
])  # fmt: skip
def test_one_matrix_is_the_chain_of_keras_layers(strengths):
    image = ramp(24, 31)
    pairs = {name: (value, value) for name, value in strengths.items()}
    chain = image
    for name in STEPS:
        if name in pairs:
            chain = STEPS[name](pairs[name])(chain)
    inside = (slice(None), slice(8, -8), slice(9, -9))  # where no border is seen
    ours = array(RandomAffine(**pairs)(image))[inside]
    np.testing.assert_allclose(ours, array(chain)[inside], atol=2e-3)


def test_the_mean_over_many_draws_is_that_of_the_chain_of_keras_layers():
    image = ndimage.gaussian_filter(rgb(1, 12)[0], (2, 2, 0))
    count = 3000
    images = np.repeat(image[None], count, axis=0)
    ours = RandomAffine(flip="horizontal", translation=0.1, rotation=0.05, zoom=0.1, seed=0)(images)
    theirs = images
    for layer in (layers.RandomFlip("horizontal", seed=1), layers.RandomTranslation(0.1, 0.1, seed=2000),
                  layers.RandomRotation(0.05, seed=3000), layers.RandomZoom(0.1, seed=4000)):  # fmt: skip
        theirs = layer(theirs)
    ours, theirs = array(ours)[:, 4:8, 4:8], array(theirs)[:, 4:8, 4:8]  # the middle: borders are filled once
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / count)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * error + 0.5).all()
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)


def test_the_draws_fill_their_ranges_evenly():
    matrices = RandomAffine(translation=0.25, flip=None).matrices(20_000, (8, 16), seed=5)
    right, down = -matrices[:, 2], -matrices[:, 5]
    for shifts, bound in ((right, 4.0), (down, 2.0)):
        assert abs(shifts.mean()) < 0.1
        assert bound - 0.01 < shifts.max() <= bound
        assert shifts.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert abs(np.corrcoef(right, down)[0, 1]) < 0.03
    angles = np.arctan2(*RandomAffine(rotation=0.1).matrices(20_000, (8, 8))[:, [3, 0]].T) / (2 * np.pi)
    assert angles.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)
    assert np.abs(angles).max() <= 0.1 + 1e-6


@pytest.mark.parametrize("fill_mode", ["reflect", "nearest", "constant"])
def test_both_engines_agree_to_one_grey_level_on_photographs(fill_mode):
    cv2 = pytest.importorskip("cv2")
    layer = RandomAffine(**EVERYTHING, fill_mode=fill_mode)
    fast, slow = (
        np.concatenate(list(AffineBatches(photographs(40), None, layer, engine=engine, seed=2)))
        for engine in (None, "keras")
    )
    assert fast.dtype == slow.dtype == np.uint8
    off = np.abs(slow.astype(int) - fast)
    if int(cv2.__version__.split(".")[0]) >= 5:
        assert off.max() <= 1
    else:  # it looks places up to 1/32 of a pixel, which shows at edges
        assert off.mean() <= 0.5
        assert off.max() <= 255 / 32


# The layer


def test_the_same_seed_gives_the_same_images_and_another_does_not():
    images = rgb(4)
    first, second, other = (array(RandomAffine(**EVERYTHING, seed=seed)(images)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1


@pytest.mark.smoke
def test_the_affine_layer_acts_in_training_alone_and_survives_saving(tmp_path):
    layer = RandomAffine(**EVERYTHING, seed=1)
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    images = rgb(3)
    np.testing.assert_array_equal(array(model(images, training=False)), images)
    np.testing.assert_array_equal(model.predict(images, verbose=0), images)
    assert np.abs(array(model(images, training=True)) - images).max() > 1
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    "make",
    [lambda: RandomAffine(rotation=0.2, seed=1), lambda: pipeline(noise=0.2, seed=1)],
    ids=["affine", "noise"],
)
def test_layers_work_in_tf_data_and_change_each_epoch(tf, make):
    images = rgb(5).astype("uint8")
    batches = tf.data.Dataset.from_tensor_slices(images).batch(2).map(make())
    first, second = (np.concatenate([batch.numpy() for batch in batches]) for _ in range(2))
    assert first.shape == images.shape
    assert first.dtype == np.float32
    assert np.abs(first - second).max() > 1


def test_half_precision_moves_images_to_the_same_places():
    images = rgb(4, 64)
    fine, coarse = (RandomAffine(rotation=0.1, seed=2, dtype=dtype)(images) for dtype in ("float32", "float16"))
    assert keras.backend.standardize_dtype(coarse.dtype) == "float16"
    np.testing.assert_allclose(array(coarse).astype("float32"), array(fine), atol=0.5)


# Batches


@pytest.mark.parametrize("engine", ["opencv", "keras"])
def test_every_image_comes_once_an_epoch_with_its_label(engine):
    images = np.repeat(np.arange(10, dtype="uint8") * 20, 16).reshape(10, 4, 4, 1)  # each of one grey
    batches = AffineBatches(images, np.arange(10), RandomAffine(rotation=0.2), batch_size=4, engine=engine)
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    orders = []
    for _ in range(2):
        seen = np.concatenate([labels for _, labels in batches])
        values = np.concatenate([moved[:, 2, 2, 0] for moved, _ in batches])
        assert sorted(seen.tolist()) == list(range(10))
        assert values.tolist() == (20 * seen).tolist()
        orders.append(seen.tolist())
        batches.on_epoch_end()
    assert orders[0] != orders[1]


def test_batches_follow_from_the_seed_and_both_engines_from_one_another():
    images = photographs(7)
    layer = RandomAffine(**EVERYTHING)
    made = [AffineBatches(images, None, layer, batch_size=3, seed=seed, engine=engine)
            for seed, engine in ((1, "opencv"), (1, "opencv"), (2, "opencv"), (1, "keras"))]  # fmt: skip
    first, again, other, keras_made = (np.concatenate(list(batches)) for batches in made)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert np.abs(first.astype(int) - keras_made).mean() < 0.5
    unshuffled = AffineBatches(images, None, RandomAffine(), shuffle=False)
    np.testing.assert_array_equal(np.concatenate(list(unshuffled)), images)


def test_a_model_trains_on_batches():
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = load_patches()
    batches = AffineBatches(data.x_train[:100], data.y_train[:100], RandomAffine(flip="horizontal"), batch_size=32)
    history = model.fit(batches, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


# Pipelines


STRENGTHS = {
    "crop": (6, 6), "flip": "vertical", "translation": 0.3, "rotation": 0.2, "zoom": 0.4, "shear": 0.5,
    "perspective": 0.5, "brightness": 0.4, "contrast": 0.7, "saturation": 0.9, "hue": 0.4, "noise": 0.2,
    "erasing": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_strength_changes_images_alone_in_a_model_and_in_tf_data(tf, name):
    images = photographs(8)[:, 4:12, 4:12]
    augment = pipeline(**{name: STRENGTHS[name]}, seed=0)
    alone = array(augment(images, training=True))
    (mapped,) = (
        tf.data.Dataset.from_tensor_slices(images).batch(8).map(lambda batch: augment(batch, training=True))
    )
    model = keras.Sequential([keras.Input(images.shape[1:]), augment])
    plain = model.predict(images, verbose=0)
    if name == "crop":
        assert alone.shape == mapped.shape == plain.shape == (8, 6, 6, 3)
        return
    np.testing.assert_allclose(plain, images, atol=1e-4)  # inactive at inference
    for changed in (alone, mapped.numpy()):
        assert np.abs(changed - images).max() > 5
        assert changed.min() >= -0.01
        assert changed.max() <= 255.01


@pytest.mark.smoke
def test_the_steps_come_in_the_order_of_the_arguments_and_keywords_replace_a_preset():
    augment = pipeline("lorente", noise=0.1, rotation=(0.25, 0.25), seed=5)
    names = [type(layer).__name__ for layer in augment.layers]
    moved = ["RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomShear"]
    assert names == [*moved, "Rescaling", "GaussianNoise", "ReLU", "Rescaling"]
    assert augment.layers[2].factor == (0.25, 0.25)
    seeds = [layer.seed for layer in augment.layers if hasattr(layer, "seed")]
    again = pipeline("lorente", noise=0.1, seed=5)
    assert seeds == [layer.seed for layer in again.layers if hasattr(layer, "seed")]
    assert min(abs(a - b) for a, b in itertools.combinations(seeds, 2)) > 1000  # neighbours would draw alike


def test_the_same_seed_gives_the_same_pipeline():
    images = photographs(4)
    first, second = (array(pipeline("geometric", "photometric", seed=1)(images, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_contrast_goes_down_as_well_as_up_and_saturation_from_grey_to_pure():
    image = np.array([100, 150], "float32").reshape(1, 1, 2, 1)
    contrast = array(pipeline(contrast=0.5, seed=0)(np.repeat(image, 200, axis=0), training=True))
    factors = (contrast[:, 0, 1, 0] - contrast[:, 0, 0, 0]) / 50
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5
    colour = np.array([200, 100, 50], "float32").reshape(1, 1, 1, 3)
    grey, same, pure = (
        array(pipeline(saturation=(share, share))(colour, training=True)).ravel() for share in (-1, 0, 1)
    )
    assert np.ptp(grey) < 0.01
    np.testing.assert_allclose(same, [200, 100, 50], atol=0.1)
    assert np.ptp(pure) > 195
    half = array(pipeline(saturation=(-0.5, -0.5))(colour, training=True))
    around_zero = pipeline(saturation=(-0.5, -0.5), value_range=(-1, 1))(colour / 127.5 - 1, training=True)
    np.testing.assert_allclose(127.5 * (array(around_zero) + 1), half, atol=0.1)


def test_noise_has_its_deviation_and_stays_in_the_range():
    augment = pipeline(noise=0.1, value_range=(-1, 1), seed=0)
    noisy = array(augment(np.full((1, 100, 100, 1), 0.2, "float32")))  # called by itself it is active
    assert noisy.std() == pytest.approx(0.2, rel=0.05)
    assert noisy.mean() == pytest.approx(0.2, abs=0.02)
    white = array(augment(np.ones((1, 50, 50, 1), "float32")))
    assert (white.min() < 0.9, white.max()) == (True, 1)
    np.testing.assert_allclose(array(augment(noisy, training=False)), noisy, atol=1e-6)


@pytest.mark.parametrize("layer", [layers.Resizing(4, 4), layers.Rescaling(1 / 255), layers.CenterCrop(4, 4)])
def test_preprocessing_layers_act_at_inference_other_than_augmentation(layer):
    images = rgb(2, 8)
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, *pipeline("geometric").layers])
    changed = model.predict(images, verbose=0)
    np.testing.assert_allclose(changed, array(layer(images)), atol=1e-4)
    assert changed.shape != images.shape or np.abs(changed - images).max() > 1


# Mixing


@pytest.mark.parametrize("labels_dtype", ["float32", "int64", "uint8"])
def test_mixup_is_the_formula_of_the_course(labels_dtype):
    images, labels = rgb(16), np.eye(16, dtype=labels_dtype)
    mixed, shares = (array(part) for part in mixup(0.8, seed=3)(images, labels))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    weights = []
    for place, share in enumerate(shares):
        partner = int(np.argmax(np.where(np.arange(16) == place, -1, share)))  # every image is its own class
        weight = share[place]
        weights.append(weight)
        expected = weight * images[place] + (1 - weight) * images[partner]
        np.testing.assert_allclose(mixed[place], expected, atol=1e-2)
    assert len({round(float(weight), 4) for weight in weights}) > 8  # one for each image


def test_the_share_of_mixup_has_the_deviation_of_its_distribution():
    images, labels = np.zeros((4000, 1, 1, 1), "float32"), np.eye(2, dtype="float32")[np.arange(4000) % 2]
    images[1::2] = 1.0
    mixed, shares = (array(part) for part in mixup(1.0, seed=0)(images, labels))
    np.testing.assert_allclose(mixed[:, 0, 0, 0], shares[:, 1], atol=1e-6)
    kept = np.where(np.arange(4000) % 2 == 1, shares[:, 1], shares[:, 0])
    different = kept[kept < 0.9999]  # its partner is of the other class: half of them
    assert different.mean() == pytest.approx(0.5, abs=0.03)
    assert different.std() == pytest.approx(1 / np.sqrt(12), rel=0.05)  # Beta(1, 1) is uniform


def test_cutmix_pastes_pixels_whole_and_labels_follow_their_share():
    side, count = 32, 24
    images = np.repeat(np.arange(count, dtype="float32"), side * side).reshape(count, side, side, 1)
    mixed, shares = (array(part) for part in cutmix(seed=1)(images, np.eye(count, dtype="float32")))
    assert set(np.unique(mixed)) <= set(range(count))
    for place, share in enumerate(shares):
        kept = float((mixed[place] == place).mean())
        assert share[place] == pytest.approx(kept, abs=2 / side + 1 / side**2)
        assert share.sum() == pytest.approx(1, abs=1e-5)


def test_mixing_works_in_tf_data_and_trains_with_the_loss_on_shares(tf):
    images, labels = rgb(12), np.eye(3, dtype="float32")[np.arange(12) % 3]
    batches = (
        tf.data.Dataset.from_tensor_slices((images, labels)).batch(5).map(mixup(0.5, seed=0)).map(cutmix(seed=0))
    )
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    assert np.isfinite(model.fit(batches, verbose=0).history["loss"]).all()


def test_only_the_named_classes_are_changed(tf):
    images, labels = rgb(9), np.arange(9) % 3
    changed, same = augment_by_class({1: lambda batch: 255.0 - batch, 2: RandomAffine(rotation=(0.5, 0.5))})(
        images, labels
    )
    changed = array(changed)
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_array_equal(changed[labels == 0], images[labels == 0])
    np.testing.assert_allclose(changed[labels == 1], 255 - images[labels == 1])
    np.testing.assert_allclose(changed[labels == 2], images[labels == 2][:, ::-1, ::-1], atol=0.05)
    mapped = tf.data.Dataset.from_tensor_slices((images, labels)).batch(9).map(
        augment_by_class({1: lambda batch: 255.0 - batch})
    )  # fmt: skip
    ((from_pipeline, _),) = mapped
    np.testing.assert_allclose(from_pipeline.numpy()[labels == 1], 255 - images[labels == 1])


@pytest.mark.parametrize("per_class", [None, 3, 20])
def test_balanced_indices_give_each_class_as_many_and_each_image_its_turn(per_class):
    labels = np.array([5] * 7 + [0] * 2 + [9] * 4)
    chosen = balanced_indices(labels, per_class=per_class, seed=1)
    wanted = per_class or 7
    assert {label: int((labels[chosen] == label).sum()) for label in (0, 5, 9)} == dict.fromkeys((0, 5, 9), wanted)
    for label in (0, 5, 9):
        times = np.bincount(chosen, minlength=13)[labels == label]
        assert times.max() - times.min() <= 1
    assert sorted(chosen.tolist()) != chosen.tolist()  # shuffled
    np.testing.assert_array_equal(chosen, balanced_indices(labels, per_class=per_class, seed=1))


# Test time


def small_classifier(shape=(8, 8, 3), classes=4) -> keras.Model:
    keras.utils.set_random_seed(0)
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(6, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([keras.Input(shape), *stack, layers.Dense(classes, activation="softmax")])
    model.layers[-1].kernel.assign(3 * model.layers[-1].kernel)  # answers that differ
    return model


def mirror_invariant_classifier() -> keras.Model:
    inner = small_classifier()
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Average()([inner(inputs), inner(ops.flip(inputs, axis=2))]))


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_on_a_model_that_is_blind_to_mirroring_nothing_changes(mean):
    model, images = mirror_invariant_classifier(), rgb(5)
    answer = test_time_augmentation(model, images, mean=mean)
    np.testing.assert_allclose(answer.probabilities, model.predict(images, verbose=0), atol=1e-6)
    np.testing.assert_allclose(answer.spread, 0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [2, 64])
def test_flip_averages_the_image_and_its_mirror_image_by_hand(batch_size):
    model, images = small_classifier(), rgb(5)
    pair = np.stack([model.predict(images, verbose=0), model.predict(images[:, :, ::-1], verbose=0)])
    answer = test_time_augmentation(model, images, batch_size=batch_size)
    np.testing.assert_allclose(answer.probabilities, pair.mean(axis=0), atol=1e-6)
    named = pair.mean(axis=0).argmax(axis=1)
    np.testing.assert_array_equal(answer.classes, named)
    np.testing.assert_allclose(answer.spread, pair[:, np.arange(5), named].std(axis=0), atol=1e-6)
    geometric = test_time_augmentation(model, images, mean="geometric").probabilities
    product = np.sqrt(pair[0] * pair[1])
    np.testing.assert_allclose(geometric, product / product.sum(axis=1, keepdims=True), atol=1e-6)


def test_ten_crops_are_centre_and_corners_with_their_mirror_images():
    model, images = small_classifier(), np.random.default_rng(1).uniform(0, 255, (3, 13, 10, 3)).astype("float32")
    crops = [
        images[:, top : top + 8, left : left + 8] for top, left in [(2, 1), *itertools.product((0, 5), (0, 2))]
    ]
    views = [model.predict(view, verbose=0) for crop in crops for view in (crop, crop[:, :, ::-1])]
    answer = test_time_augmentation(model, images, views="ten_crops")
    np.testing.assert_allclose(answer.probabilities, np.mean(views, axis=0), atol=1e-6)
    assert answer.views.tolist() == [10, 10, 10]


def test_views_are_spent_where_the_model_is_unsure_alone():
    model, images = small_classifier(), rgb(30)
    first = model.predict(images, verbose=0)
    bound = float(np.median(first.max(axis=1)))
    answer = test_time_augmentation(model, images, sure_from=bound, views=pipeline(rotation=0.1, seed=0), count=5)
    sure = first.max(axis=1) >= bound
    assert answer.views.tolist() == np.where(sure, 1, 5).tolist()
    np.testing.assert_allclose(answer.probabilities[sure], first[sure], atol=1e-6)
    assert (answer.spread[sure] == 0).all()
    assert (answer.spread[~sure] > 0).all()


def test_random_views_are_the_image_itself_and_what_the_function_makes_of_it():
    model, images = small_classifier(), rgb(4)
    answer = test_time_augmentation(model, images, views=lambda batch: 255.0 - batch, count=3)
    expected = (model.predict(images, verbose=0) + 2 * model.predict(255 - images, verbose=0)) / 3
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)


def echo(units: int) -> keras.Model:
    """Return a model that answers with what it is shown: images (n, 1, 1, units)."""
    return keras.Sequential([keras.Input((1, 1, units)), layers.Flatten()])


def answers(*rows: list[float]) -> np.ndarray:
    return np.array(rows, "float32")[:, None, None]


@pytest.mark.parametrize("row", [[0.5, 0.509], [0.5, 0.491], [-5e-7, 1.0], [1 + 5e-7, 0.0]])
def test_probabilities_may_be_off_by_their_rounding(row):
    found = test_time_augmentation(echo(2), answers(row)).probabilities
    np.testing.assert_allclose(found, [row], atol=1e-7)


@pytest.mark.parametrize("row", [[0.5, 0.52], [0.5, 0.48], [-5e-6, 1.0], [1 + 5e-6, 0.0]])
def test_what_is_off_by_more_is_no_probability(row):
    with pytest.raises(ValueError, match="must be a classifier that ends in probabilities"):
        test_time_augmentation(echo(2), answers(row))


def test_an_answer_at_the_very_bound_is_sure_and_that_of_one_unit_at_one_half_is_yes():
    sure = test_time_augmentation(echo(2), answers([0.75, 0.25], [0.5, 0.5], [0.25, 0.75]), sure_from=0.75)
    assert sure.views.tolist() == [1, 2, 1]
    unit = test_time_augmentation(echo(1), answers([0.25], [0.5], [0.75]), sure_from=0.75)
    assert (unit.classes.tolist(), unit.views.tolist()) == ([0, 1, 1], [1, 2, 1])


def test_in_the_geometric_mean_one_view_can_veto_a_class():
    def without_the_first(batch):
        return np.concatenate([0 * batch[..., :1], batch[..., :1] + batch[..., 1:]], axis=-1)

    found = test_time_augmentation(
        echo(2), answers([0.9, 0.1]), views=without_the_first, count=2, mean="geometric"
    )
    np.testing.assert_allclose(found.probabilities, [[0, 1]], atol=1e-6)


def ending_in(*last: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), *last])


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_one_sigmoid_unit_answers_as_a_softmax_of_two_classes(mean):
    one, two = ending_in(layers.Dense(1, "sigmoid")), ending_in(layers.Dense(2, "softmax"))
    kernel, bias = one.layers[-1].get_weights()
    two.layers[-1].set_weights([np.concatenate([0 * kernel, kernel], axis=1), np.concatenate([[0], bias])])
    images = rgb(20)
    found, expected = (test_time_augmentation(model, images, mean=mean) for model in (one, two))
    np.testing.assert_allclose(found.probabilities, expected.probabilities[:, 1:], atol=1e-6)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.spread, expected.spread, atol=1e-6)


def test_several_labels_are_averaged_each_by_itself():
    model, images = ending_in(layers.Dense(3, activation=lambda x: 1 / (1 + ops.exp(-x)))), rgb(9)
    pair = np.stack([model.predict(images, verbose=0), model.predict(images[:, :, ::-1], verbose=0)])
    answer = test_time_augmentation(model, images)
    np.testing.assert_allclose(answer.probabilities, pair.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(answer.classes, pair.mean(axis=0) >= 0.5)
    np.testing.assert_allclose(answer.spread, pair.std(axis=0).max(axis=1), atol=1e-6)


class Subclassed(keras.Model):
    """A classifier without a graph, never called yet."""

    def __init__(self):
        super().__init__()
        self.inner = ending_in(layers.Dense(3))

    def call(self, images):
        return ops.softmax(self.inner(images))


def test_a_subclassed_model_is_asked_too():
    model, images = Subclassed(), rgb(3)
    answer = test_time_augmentation(model, images.tolist(), views=lambda batch: batch)
    np.testing.assert_allclose(answer.probabilities, model.predict(images, verbose=0), atol=1e-6)


class SeveralLabels(keras.Model):
    """Sigmoids that no layer has; of one unit, they come without its axis."""

    def __init__(self, units):
        super().__init__()
        self.inner = ending_in(layers.Dense(units))

    def call(self, images):
        answer = ops.sigmoid(self.inner(images))
        return answer[:, 0] if answer.shape[1] == 1 else {"labels": answer}


@pytest.mark.parametrize("units", [1, 2, 4])
def test_sigmoids_in_the_call_of_a_subclassed_model_are_seen_by_their_values(units):
    model, images = SeveralLabels(units), rgb(9)
    answer = test_time_augmentation(model, images)
    expected = ops.convert_to_numpy(
        ops.sigmoid(model.inner(images)) + ops.sigmoid(model.inner(images[:, :, ::-1]))
    )
    np.testing.assert_allclose(answer.probabilities, expected / 2, atol=1e-6)
    assert answer.classes.shape == ((9,) if units == 1 else (9, units))


def test_a_transfer_model_for_two_classes_is_averaged():
    model = TransferModel(ending_in(), 1, dropout=0)
    images = rgb(5)
    answer = test_time_augmentation(model, images)
    pair = [model.predict(batch, verbose=0) for batch in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(answer.probabilities, np.mean(pair, axis=0), atol=1e-6)


def test_of_several_inputs_the_images_alone_are_shown_in_views():
    image, vector = keras.Input((8, 8, 3)), keras.Input((2,))
    flat = layers.Concatenate()([layers.Flatten()(layers.Rescaling(1 / 255)(image)), vector])
    model = keras.Model([image, vector], layers.Dense(3, "softmax")(flat))
    images, vectors = rgb(9), np.random.default_rng(0).random((9, 2)).astype("float32")
    answer = test_time_augmentation(model, [images, vectors], batch_size=4)
    pair = [model.predict([batch, vectors], verbose=0) for batch in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(answer.probabilities, np.mean(pair, axis=0), atol=1e-6)
    mirrored = {"mirrored": lambda batch: batch[:, :, ::-1]}
    (record,) = label_preserved(model, [images, vectors], mirrored, repeats=1)
    assert record.preserved == np.mean(pair[0].argmax(axis=1) == pair[1].argmax(axis=1))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_all_of_it_works_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        images, labels = rgb(6), np.eye(3)[np.arange(6) % 3]
        for mix in (mixup(0.5, seed=0), cutmix(seed=0)):
            mixed, shares = mix(images, labels)
            assert keras.backend.standardize_dtype(mixed.dtype) == "float32"
            np.testing.assert_allclose(array(ops.sum(shares, axis=1)), 1, atol=1e-5)
        model = ending_in(layers.Dense(3, "softmax"))
        answer = test_time_augmentation(model, images)
        np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-2)
        assert label_preserved(model, images, {"same": lambda x: x}, repeats=1)[0].preserved == 1
    finally:
        keras.config.set_dtype_policy("float32")


# Labels that are preserved


def brightness_classifier() -> keras.Model:
    """Say 1 for images brighter than 100, and 0 for others."""
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")]
    )
    model.layers[-1].set_weights([np.array([[0, 1]] * 3, "float32"), np.array([300, 0], "float32")])
    return model


def test_the_share_of_kept_answers_is_counted():
    images = np.stack([np.full((8, 8, 3), value, "float32") for value in (10, 60, 120, 200)])
    changes = {
        "same": lambda batch: batch,
        "negative": lambda batch: 255 - batch,
        "darker": lambda batch: batch - 50,
    }
    records = label_preserved(
        brightness_classifier(), images, changes, labels=np.array([0, 0, 1, 0]), repeats=2, batch_size=3
    )
    assert [(record.name, record.preserved, record.accuracy) for record in records] == [
        ("same", 1.0, 0.75),
        ("negative", 0.25, 0.5),  # 245, 195, 135, 55: the third stays bright
        ("darker", 0.75, 0.5),  # 120 falls to 70
    ]


def test_a_pipeline_acts_though_it_is_a_model():
    images = np.full((6, 8, 8, 3), 110, "float32")
    (record,) = label_preserved(brightness_classifier(), images, {"darker": pipeline(brightness=(-0.5, -0.5))})
    assert record.preserved == 0


# Bad input


def bad_cases():
    image, labels, model = np.zeros((2, 8, 8, 3), "float32"), np.eye(2, dtype="float32"), small_classifier()
    no_softmax = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    eight = np.zeros((2, 8), "float32")
    return [
        (lambda: RandomAffine(flip="left"), ValueError, ["`flip` of `RandomAffine`", "flip='left'"]),
        (lambda: RandomAffine(rotation=-0.1), ValueError, ["`rotation` of `RandomAffine`", "from 0 to 1"]),
        (lambda: RandomAffine(rotation=90), ValueError, ["`rotation`", "rotation=90"]),
        (lambda: RandomAffine(zoom=(0.2, 0.1)), ValueError, ["`zoom`", "(lowest, highest)"]),
        (lambda: RandomAffine(zoom=-2), ValueError, ["`zoom`", "zoom=-2"]),
        (lambda: RandomAffine(zoom=(-1.5, 0)), ValueError, ["`zoom`", "-0.99"]),
        (lambda: RandomAffine(translation="0.1"), TypeError, ["`translation`", "'0.1'"]),
        (lambda: RandomAffine(translation=(0.1, 0.2, 0.3)), ValueError, ["`translation`", "a pair"]),
        (lambda: RandomAffine(shear=2), ValueError, ["`shear`", "from 0 to 1"]),
        (lambda: RandomAffine(shear=float("nan")), ValueError, ["`shear`", "nan"]),
        (lambda: RandomAffine(fill_mode="wrap"), ValueError, ["`fill_mode`", "'reflect'", "'wrap'"]),
        (lambda: RandomAffine(seed=-1), ValueError, ["`seed`", "seed=-1"]),
        (lambda: RandomAffine()(image[0]), ValueError, ["`images` of `RandomAffine`", "a batch", "image[None]"]),
        (lambda: RandomAffine().matrices(1, (8,)), ValueError, ["`image_size` of `matrices`", "(height, width)"]),
        (lambda: warp(image[0], eight), ValueError, ["`images` of `warp`", "(8, 8, 3)"]),
        (lambda: warp(image, eight[:1]), ValueError, ["`matrices` of `warp`", "(2, 8)"]),
        (lambda: AffineBatches(image, None, RandomAffine(), engine="cv"), ValueError, ["`engine`", "'opencv'"]),
        (
            lambda: AffineBatches(image[..., [0] * 5], None, RandomAffine(), engine="opencv"),
            ValueError,
            ["`engine` of `AffineBatches`", "more than 4 channels"],
        ),
        (lambda: AffineBatches(image[:0], None, RandomAffine()), ValueError, ["`images` of `AffineBatches`"]),
        (lambda: AffineBatches(image, np.arange(3), RandomAffine()), ValueError, ["`labels`", "2 labels"]),
        (lambda: AffineBatches(image, None, layers.RandomFlip()), TypeError, ["`layer`", "RandomAffine"]),
        (lambda: AffineBatches(image, None, RandomAffine(), batch_size=0), ValueError, ["`batch_size`"]),
        (lambda: AffineBatches(image, None, RandomAffine(), shuffle=1), TypeError, ["`shuffle`", "shuffle=1"]),
        (lambda: pipeline(), ValueError, ["`presets` of `pipeline`"]),
        (lambda: pipeline("all"), ValueError, ["`presets`", "'geometric'", "'all'"]),
        (lambda: pipeline(rotatoin=0.1), ValueError, ["`strengths` of `pipeline`", "Did you mean 'rotation'?"]),
        (lambda: pipeline(rotation=2), ValueError, ["`rotation` of `pipeline`", "rotation=2"]),
        (lambda: pipeline(crop=(8, 8, 8)), ValueError, ["`crop`", "(height, width)"]),
        (lambda: pipeline(flip="both"), ValueError, ["`flip`", "'both'"]),
        (lambda: pipeline(contrast=(0.1, 0.2)), TypeError, ["`contrast`", "a number"]),
        (lambda: pipeline(noise=30), ValueError, ["`noise`", "from 0 to 1"]),
        (lambda: pipeline("flip", value_range=(1, 0)), ValueError, ["`value_range`", "(lowest, highest)"]),
        (lambda: pipeline("flip", fill_mode="mirror"), ValueError, ["`fill_mode`", "'mirror'"]),
        (lambda: mixup(0), ValueError, ["`alpha` of `mixup`", "above 0"]),
        (lambda: cutmix(2), ValueError, ["`alpha` of `cutmix`", "from 0 to 1"]),
        (lambda: mixup()(image, np.array([0, 1])), ValueError, ["`labels` of `mixup`", "to_categorical"]),
        (lambda: mixup()(image, labels[:1]), ValueError, ["`labels` of `mixup`", "as many as the 2"]),
        (lambda: mixup()(image[0], labels), ValueError, ["`images` of `mixup`", "a batch"]),
        (lambda: cutmix()(image[:0], labels[:0]), ValueError, ["`images` of `cutmix`", "not empty"]),
        (lambda: augment_by_class({"cat": RandomAffine()}), TypeError, ["`changes`", "an integer"]),
        (lambda: augment_by_class({0: 3}), TypeError, ["`changes`", "a mapping"]),
        (lambda: augment_by_class({0: RandomAffine()})(image, image), ValueError, ["`labels`", "(images,)"]),
        (lambda: balanced_indices([]), ValueError, ["`labels` of `balanced_indices`"]),
        (lambda: balanced_indices([0.5, 1]), TypeError, ["`labels`", "integers"]),
        (lambda: balanced_indices([0, 1], per_class=0), ValueError, ["`per_class`"]),
        (lambda: test_time_augmentation("model", image), TypeError, ["`model` of `test_time_augmentation`"]),
        (lambda: test_time_augmentation(no_softmax, image + 1), ValueError, ["`model`", "probabilities"]),
        (lambda: test_time_augmentation(model, image[0]), ValueError, ["`images`", "`[None]`"]),
        (lambda: test_time_augmentation(model, image[:0]), ValueError, ["`images`", "one or more"]),
        (lambda: test_time_augmentation(model, image[:, :7]), ValueError, ["`images`", "(8, 8, 3)"]),
        (lambda: test_time_augmentation(model, image[:, :7], views="ten_crops"), ValueError, ["at least"]),
        (lambda: test_time_augmentation(model, image * np.nan), ValueError, ["`images`", "finite"]),
        (lambda: test_time_augmentation(model, image, views=0), ValueError, ["`views`", "'ten_crops'", "views=0"]),
        (lambda: test_time_augmentation(model, image, count=1), ValueError, ["`count`", "count=1"]),
        (lambda: test_time_augmentation(model, image, mean="median"), ValueError, ["`mean`", "'geometric'"]),
        (lambda: test_time_augmentation(model, image, sure_from=50), ValueError, ["`sure_from`", "from 0 to 1"]),
        (lambda: label_preserved(no_softmax, image + 1, {}), ValueError, ["`model` of `label_preserved`"]),
        (lambda: label_preserved(model, image, [RandomAffine()]), TypeError, ["`transformations`", "a mapping"]),
        (lambda: label_preserved(model, image, {}, labels=[1]), ValueError, ["`labels`", "each of the 2 images"]),
        (lambda: label_preserved(model, image, {"cut": lambda x: x[:, 1:]}), ValueError, ["'cut'", "(2, 7"]),
    ]  # fmt: skip


def test_bad_input_names_the_argument_and_the_rule():
    for number, (call, error, words) in enumerate(bad_cases()):
        with pytest.raises(error) as caught:
            call()
        assert all(word in str(caught.value) for word in words), (number, caught.value)


def test_without_opencv_keras_is_taken_or_the_error_says_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    images = np.zeros((1, 4, 4, 1), "uint8")
    assert AffineBatches(images, None, RandomAffine()).engine == "keras"
    with pytest.raises(ImportError, match=r'kerascv_course\[fast\].*engine="keras"'):
        AffineBatches(images, None, RandomAffine(), engine="opencv")
