"""Flip, shift, rotate, zoom and shear as one matrix for each image, so that each is interpolated once.

A chain of Keras' layers resamples the image in each of them: that takes time, and each time blurs a little. Affine
maps can be multiplied instead. `keras.ops.image.affine_transform` applies the product here; `batches` has a faster
way for arrays.
"""

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from kerascv_course._validation import as_numbers, check_choice, check_number, check_seed, check_size, input_error

Strength = float | tuple[float, float]

FILL_MODES = ("reflect", "constant", "nearest")
_DRAWS = 9  # random numbers for each map
_FLIPS = {
    None: (False, False),
    "horizontal": (True, False),
    "vertical": (False, True),
    "horizontal_and_vertical": (True, True),
}

_warp = partial(ops.image.affine_transform, data_format="channels_last")


@keras.saving.register_keras_serializable(package="kerascv_course")
class RandomAffine(keras.layers.Layer):
    """Flip, shift, rotate, zoom and shear at random, with one interpolation in place of five.

    It does what Keras' `RandomFlip`, `RandomTranslation`, `RandomRotation`, `RandomZoom` and `RandomShear` do one
    after the other, and is active when they are: in training, and where it is called by itself. Other than in the
    chain, each value is interpolated once, the border is filled once, and the shear leaves the centre in place,
    not the corner. It works in a model on any backend, and in `tf.data` on the TensorFlow backend.

    Args:
        flip: None, "horizontal", "vertical" or "horizontal_and_vertical": half of the images are mirrored.
        translation: Shift down and to the right as a share of the side, up to 1. Here and below a number s stands
            for the range (-s, s), and a pair for the range itself.
        rotation: Angle as a share of a full turn, up to 1.
        zoom: Change of the side that is seen, above -1: at -0.2 four fifths of the image fill the frame.
        shear: Pixels by which a row or column is moved, for each pixel of distance from the centre, from 0 to 1;
            a number s stands for (0, s), and either sign is as likely.
        fill_mode: What is seen beyond the border: "reflect", "nearest", or "constant" for 0.
        seed: Seed of the layer, 0 or more; None for another result in each run.
        **kwargs: As for any layer, for example `name`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:
        >>> layer = RandomAffine(flip="horizontal", translation=0.1, rotation=0.05, seed=0)
        >>> tuple(layer(np.zeros((2, 32, 32, 3), "uint8")).shape)
        (2, 32, 32, 3)

    Source: Boracchi (augmentation layers).
    """

    def __init__(
        self,
        *,
        flip: str | None = None,
        translation: Strength = 0.0,
        rotation: Strength = 0.0,
        zoom: Strength = 0.0,
        shear: Strength = 0.0,
        fill_mode: str = "reflect",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        function = "RandomAffine"
        self.flip = check_choice(function, "flip", flip, _FLIPS)
        self.translation = as_range(function, "translation", translation, -1, 1)
        self.rotation = as_range(function, "rotation", rotation, -1, 1)
        self.zoom = as_range(function, "zoom", zoom, -0.99, 10)
        self.shear = as_range(function, "shear", shear, 0, 1)
        self.fill_mode = check_choice(function, "fill_mode", fill_mode, FILL_MODES)
        self.seed = check_seed(function, "seed", seed)
        super().__init__(**kwargs)
        self.random = keras.random.SeedGenerator(self.seed)

    def call(self, images: Any, training: bool = True) -> Any:
        """Return the moved images (batch, height, width, channels), in the layer's dtype."""
        if len(getattr(images, "shape", ())) != 4:
            rule = "a batch (images, height, width, channels)"
            raise input_error("RandomAffine", "images", rule, images, "A single image is `image[None]`.")
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        count, height, width, _ = ops.shape(images)
        size = [side if isinstance(side, int) else ops.cast(side, "float32") for side in (height, width)]
        draws = keras.random.uniform((_DRAWS, count), 0.0, 1.0, "float32", seed=self.random)
        matrices = self._product(size, draws, ops)
        return _warp(images, matrices, fill_mode=self.fill_mode)

    def matrices(self, count: int, image_size: tuple[int, int], *, seed: int = 0) -> np.ndarray:
        """Draw maps without applying them, for `warp`, or to move the labels of a regression with the image.

        Args:
            count: Number of images, 1 or more.
            image_size: Height and width in pixels; one integer for both.
            seed: The same seed gives the same maps.

        Returns:
            Array (count, 8), `float32`. In a row a0, a1, a2, b0, b1, b2, 0, 0 the value of the result at column x
            and row y is found at column `a0 x + a1 y + a2` and row `b0 x + b1 y + b2` of the image.

        Raises:
            TypeError: If a number is no integer.
            ValueError: If a number is too small.

        Example:
            >>> to_the_right_and_down = RandomAffine(translation=(0.25, 0.25))
            >>> to_the_right_and_down.matrices(1, (4, 4)).tolist()  # a quarter of 4 pixels
            [[1.0, 0.0, -1.0, 0.0, 1.0, -1.0, 0.0, 0.0]]
        """
        size = check_size("matrices", "image_size", image_size)
        draws = np.random.default_rng(seed).random((_DRAWS, count))
        return self._product(size, draws, np).astype("float32")

    def _product(self, size: Any, draws: Any, math: Any) -> Any:
        """Multiply the parts of each map out of numbers from 0 to 1, with the functions of `math`."""
        height, width = size

        def between(draw: Any, span: tuple[float, float]) -> Any:
            return span[0] + (span[1] - span[0]) * draw

        # A result at (x, y), counted from the centre, is found at (a0 x + a1 y, b0 x + b1 y) in the image: shear,
        # zoom and rotate from the right to the left, then shift, then mirror. What is off costs nothing.
        angle = 2 * np.pi * between(draws[0], self.rotation)
        a0 = b1 = math.cos(angle)
        b0 = math.sin(angle)
        a1 = 0.0 - b0
        if self.shear != (0, 0):
            sign = math.sign(draws[1] - 0.5)
            shear_x, shear_y = sign * between(draws[2], self.shear), sign * between(draws[3], self.shear)
            a0, a1 = a0 + a1 * shear_y, a0 * shear_x + a1
            b0, b1 = b0 + b1 * shear_y, b0 * shear_x + b1
        if self.zoom != (0, 0):
            zoom = 1 + between(draws[4], self.zoom)
            a0, a1, b0, b1 = zoom * a0, zoom * a1, zoom * b0, zoom * b1
        right, down = between(draws[5], self.translation) * width, between(draws[6], self.translation) * height
        mirror_x, mirror_y = _FLIPS[self.flip]
        if mirror_x:
            sign = math.sign(draws[7] - 0.5)
            a0, a1, right = sign * a0, sign * a1, sign * right
        if mirror_y:
            sign = math.sign(draws[8] - 0.5)
            b0, b1, down = sign * b0, sign * b1, sign * down
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        a2 = centre_x - a0 * centre_x - a1 * centre_y - right
        b2 = centre_y - b0 * centre_x - b1 * centre_y - down
        zero = math.zeros_like(a0)
        return math.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, from which the layer can be made again."""
        names = ("flip", "translation", "rotation", "zoom", "shear", "fill_mode", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def warp(images: Any, matrices: Any, *, fill_mode: str = "reflect") -> Any:
    """Move the pixels of each image as its matrix says, with one bilinear interpolation.

    Args:
        images: Batch (images, height, width, channels).
        matrices: Array (images, 8), as `RandomAffine.matrices` returns it.
        fill_mode: What is seen beyond the border: "reflect", "nearest", or "constant" for 0.

    Returns:
        The moved images, a tensor of `float32`.

    Raises:
        ValueError: If shapes do not fit, or an option is not known.

    Example:
        >>> image = np.array([[[[0], [10], [20], [30]]]], "uint8")  # a row of four pixels
        >>> half_a_pixel = np.array([[1, 0, 0.5, 0, 1, 0, 0, 0]], "float32")
        >>> ops.convert_to_numpy(warp(image, half_a_pixel)).ravel().tolist()
        [5.0, 15.0, 25.0, 30.0]
    """
    check_choice("warp", "fill_mode", fill_mode, FILL_MODES)
    images = as_float32("warp", "images", images, "a batch (images, height, width, channels)", 4)
    if np.shape(matrices) != (images.shape[0], 8):
        raise input_error("warp", "matrices", f"an array ({images.shape[0]}, 8), a row for each image", matrices)
    return _warp(images, ops.cast(matrices, "float32"), fill_mode=fill_mode)


def as_float32(function: str, argument: str, value: Any, rule: str, axes: int) -> Any:
    """Return a batch with so many axes as a tensor `float32`, or raise; tensors, as in `tf.data`, are not read."""
    found = value if ops.is_tensor(value) else as_numbers(function, argument, value, rule)
    if len(found.shape) != axes or found.shape[0] == 0:
        raise input_error(function, argument, rule, value)
    return ops.cast(found, "float32")


def as_range(function: str, argument: str, value: Any, minimum: float, maximum: float) -> tuple[float, float]:
    """Return the range that a number or a pair stands for, or raise."""
    if not isinstance(value, tuple | list):
        high = check_number(function, argument, value, 0, maximum if minimum == 0 else -minimum)
        return (0.0 if minimum == 0 else -high), high
    if len(value) != 2:
        raise input_error(function, argument, "a number, or a pair (lowest, highest)", value)
    low, high = (check_number(function, argument, bound, minimum, maximum) for bound in value)
    if low > high:
        raise input_error(function, argument, "a pair (lowest, highest)", value)
    return low, high
