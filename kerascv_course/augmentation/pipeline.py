"""Pipelines of augmentation out of Keras' own layers, by the names that the courses use."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from kerascv_course._ranges import other_range
from kerascv_course._validation import check_choice, check_number, check_seed, check_size, input_error
from kerascv_course.augmentation.affine import FILL_MODES, as_range

# Sets of the courses. A keyword beside the name of a set replaces its strength.
PRESETS: dict[str, dict[str, Any]] = {
    "flip": {"flip": "horizontal"},
    "geometric": {"flip": "horizontal", "translation": 0.1, "rotation": 0.05, "zoom": 0.1},
    "photometric": {"brightness": 0.1, "contrast": 0.2, "saturation": 0.2, "hue": 0.05},
    # Lorente tries these one by one, then together.
    "lorente": {"flip": "horizontal", "translation": 0.2, "rotation": 0.1, "zoom": 0.2, "shear": 0.2},
}


class _Options(NamedTuple):
    """What the layers of a pipeline share, as arguments of Keras' layers."""

    fill: dict[str, Any]
    colours: dict[str, Any]
    seed: dict[str, Any]


def _random_crop(size: tuple[int, int], o: _Options) -> list[keras.Layer]:
    # At inference `RandomCrop` of Keras 3.15 leaves the image as it is; in training the second layer does nothing.
    return [layers.RandomCrop(*size, **o.seed), layers.CenterCrop(*size)]


def _in_unit_range(o: _Options, *inner: keras.Layer) -> list[keras.Layer]:
    """Return layers that count from 0 to 1 between two that go there and back."""
    low, high = o.colours["value_range"]
    return [layers.Rescaling(1 / (high - low), -low / (high - low)), *inner, layers.Rescaling(high - low, low)]


def _random_saturation(span: tuple[float, float], o: _Options) -> list[keras.Layer]:
    # Of values up to 255 `RandomSaturation` of Keras 3.15 makes negative ones: it cuts at 255 what must end at 1.
    # One half changes nothing.
    factor = tuple(0.5 + bound / 2 for bound in span)
    return _in_unit_range(o, layers.RandomSaturation(factor, value_range=(0, 1), **o.seed))


def _random_noise(deviation: float, o: _Options) -> list[keras.Layer]:
    # The second layer cuts what leaves the range.
    return _in_unit_range(o, layers.GaussianNoise(deviation, **o.seed), layers.ReLU(1.0))


def _random_perspective(scale: float, o: _Options) -> keras.Layer:
    return layers.RandomPerspective((1.0, 1.0), scale=scale, fill_value=o.fill["fill_value"], **o.seed)


_MODE = partial(check_choice, choices=("horizontal", "vertical", "horizontal_and_vertical"))
_SHARE, _ZOOM = partial(check_number, minimum=0, maximum=1), partial(as_range, minimum=-0.99, maximum=10)
_ONE_WAY, _BOTH_WAYS = (partial(as_range, minimum=lowest, maximum=1) for lowest in (0, -1))

# Each step: how its strength is checked, and its layers. The order here is their order.
_STEPS: dict[str, tuple[Any, Callable[[Any, _Options], Any]]] = {
    "crop": (check_size, _random_crop),
    "flip": (_MODE, lambda mode, o: layers.RandomFlip(mode, **o.seed)),
    "translation": (_BOTH_WAYS, lambda span, o: layers.RandomTranslation(span, span, **o.fill, **o.seed)),
    "rotation": (_BOTH_WAYS, lambda span, o: layers.RandomRotation(span, **o.fill, **o.seed)),
    "zoom": (_ZOOM, lambda span, o: layers.RandomZoom(span, **o.fill, **o.seed)),
    "shear": (_ONE_WAY, lambda span, o: layers.RandomShear(span, span, **o.fill, **o.seed)),
    "perspective": (_SHARE, _random_perspective),
    "brightness": (_BOTH_WAYS, lambda span, o: layers.RandomBrightness(span, **o.colours, **o.seed)),
    # From 1 - c to 1 + c times the distance from the mean: of a single number Keras takes the upper half alone.
    "contrast": (_SHARE, lambda change, o: layers.RandomContrast((change, change), **o.colours, **o.seed)),
    "saturation": (_BOTH_WAYS, _random_saturation),
    "hue": (_ONE_WAY, lambda span, o: layers.RandomHue(span, **o.colours, **o.seed)),
    "noise": (_SHARE, _random_noise),
    "erasing": (_SHARE, lambda share, o: layers.RandomErasing((share, share), **o.colours, **o.seed)),
}


_COLOURS = {"brightness", "contrast", "saturation", "hue", "noise", "erasing"}  # they count in the value range


def _call_in_range(
    model: keras.Sequential, span: tuple[float, float], images: Any, training: bool | None = None, **options: Any
) -> Any:
    """Call a pipeline, or raise where the images can be looked at and are in another range.

    Called by itself it is active, as Keras' augmentation layers are, but not its `GaussianNoise`.
    """
    found = other_range(images, *span)
    if found:
        way_out = "Pass the range of your images: `value_range=(0, 1)`, or (0, 255)."
        rule = f"that of the images, which are from {found}"
        raise input_error("pipeline", "value_range", rule, span, way_out)
    return keras.Sequential.call(model, images, training=training is not False, **options)


def pipeline(
    *presets: str,
    value_range: tuple[float, float] = (0, 255),
    fill_mode: str = "reflect",
    seed: int | None = None,
    **strengths: Any,
) -> keras.Sequential:
    """Put augmentation layers of Keras in a row.

    The result is a plain `Sequential`: a layer of a model, where it acts in training alone; a function to call on
    a batch; or what `tf.data` maps over batches. The layers come in the order of the strengths below.

    Args:
        *presets: Names of sets: "flip", "geometric", "photometric", "lorente". Strengths replace or add.
        value_range: Lowest and highest value of the images. Where brightness, contrast, colours, noise or erasing
            meet images that are clearly in another one, outside of a traced function, they raise.
        fill_mode: What is seen beyond the border: "reflect", "nearest" or "constant" (the lowest value).
        seed: Seed from which those of the layers are made, 0 or more; None for another result in each run.
        **strengths: The steps, each by its name; None stands for a step that is not given:

            - `crop`: height and width in pixels (one integer for both) of a random part, which becomes the image:
              the same part for a whole batch, and the centre at inference.
            - `flip`: "horizontal", "vertical" or "horizontal_and_vertical".
            - `translation`: share of the side, up to 1; a number s stands for (-s, s), a pair for the range.
            - `rotation`: share of a full turn, up to 1; number or pair.
            - `zoom`: change of the side that is seen; number or pair; below 0 the image is enlarged.
            - `shear`: shift per pixel of distance, from 0 to 1; a number s stands for (0, s), with either sign.
            - `perspective`: how far the corners move, as a share of the side, from 0 to 1.
            - `brightness`: what is added, as a share of the value range, up to 1; number or pair.
            - `contrast`: change of the distance from the mean, in both directions, from 0 to 1.
            - `saturation`: change of the colours: -1 is grey, 0 nothing, 1 is pure; number or pair.
            - `hue`: turn of the colours, as a share of half the circle, from 0 to 1, with either sign; number or
              pair.
            - `noise`: standard deviation of the noise in each value, as a share of the value range, from 0 to 1.
            - `erasing`: probability, from 0 to 1, that a rectangle is replaced by noise.

    Returns:
        An unbuilt model of at least one layer; images (batch, height, width, channels) in and out, `float32`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a name is not known, a strength is out of range, or there is no layer.

    Example:
        >>> augment = pipeline("flip", rotation=0.1, seed=0)
        >>> [type(layer).__name__ for layer in augment.layers]
        ['RandomFlip', 'RandomRotation']

    Source: Boracchi; Manco, Architectures; Lorente.
    """
    function = "pipeline"
    chosen: dict[str, Any] = {}
    for name in presets:
        check_choice(function, "presets", name, PRESETS)
        chosen |= PRESETS[name]
    for name in strengths:
        check_choice(function, "strengths", name, _STEPS)
    chosen |= {name: value for name, value in strengths.items() if value is not None}
    if not chosen:
        raise input_error(function, "presets", "a name, or a strength is given", presets)
    check_choice(function, "fill_mode", fill_mode, FILL_MODES)
    is_pair = isinstance(value_range, tuple | list) and len(value_range) == 2
    low, high = (check_number(function, "value_range", bound) for bound in (value_range if is_pair else (0, 0)))
    if low >= high:
        raise input_error(function, "value_range", "(lowest, highest), as (0, 255) or (0, 1)", value_range)
    seed = check_seed(function, "seed", seed)
    fill = {"fill_mode": fill_mode, "fill_value": low}
    stack: list[keras.Layer] = []
    for name, (check, build) in _STEPS.items():
        if name in chosen:
            value = check(function, name, chosen[name])
            own_seed = {"seed": None if seed is None else _seed_of(seed, len(stack))}
            made = build(value, _Options(fill, {"value_range": (low, high)}, own_seed))
            stack += made if isinstance(made, list) else [made]
    made = keras.Sequential(stack, name="augmentation")
    if _COLOURS & set(chosen):
        vars(made)["call"] = partial(_call_in_range, made, (low, high))
    return made


def _seed_of(seed: int, place: int) -> int:
    """Return a seed for each layer, far from the others: on PyTorch neighbouring seeds draw the same numbers."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0] % 2**31)
