"""Local response normalisation, which AlexNet and GoogLeNet have between their first layers."""

from typing import Any

import keras
from keras import layers, ops

from kerascv_course._validation import check_above, check_choice, check_int, check_number, input_error


@keras.saving.register_keras_serializable(package="kerascv_course")
class LocalResponseNormalization(layers.Layer):
    """Divide each value by a power of the squares around it.

    The output is `x / (bias + alpha * sum(x**2)) ** beta`. The sum goes over `size` neighbouring maps at the same
    place ("across", Krizhevsky's own), or over a window of `size` x `size` places in the same map ("within"); at
    the border what lies outside counts as 0. As in Krizhevsky's paper, `alpha` is not divided by `size`. Batch
    normalisation has replaced this layer; it has no weights.

    Args:
        size: Maps, or places in each direction, 1 or more, odd.
        alpha: Factor of the sum, 0 or more.
        beta: The exponent.
        bias: What is added to the sum, above 0.
        mode: "across" maps or "within" a map.
        **kwargs: As for any layer, for example `name`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> layer = LocalResponseNormalization(size=3, alpha=1.0, beta=1.0, bias=1.0)
        >>> maps = np.ones((1, 1, 1, 3), "float32")
        >>> [round(float(value), 2) for value in ops.convert_to_numpy(layer(maps)).ravel()]
        [0.33, 0.25, 0.33]

    Source:
        Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks (2012);
        Manco, Architectures, whose formula lacks the exponent.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 2.0,
        mode: str = "across",
        **kwargs: Any,
    ) -> None:
        function = "LocalResponseNormalization"
        self.size = check_int(function, "size", size, 1)
        if self.size % 2 == 0:
            raise input_error(function, "size", "odd, so that the value itself is in the middle", size)
        self.alpha = check_number(function, "alpha", alpha, 0)
        self.beta = check_number(function, "beta", beta)
        self.bias = check_above(function, "bias", bias)
        self.mode = check_choice(function, "mode", mode, ("across", "within"))
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        """Return the normalised maps, of the shape of the inputs (batch, height, width, maps)."""
        given, inputs = inputs, ops.cast(inputs, "float32")  # in float16 squares above 65,504 are infinite
        squares = ops.square(inputs)
        around = self.size // 2
        if self.mode == "across":
            padded = ops.pad(squares, ((0, 0), (0, 0), (0, 0), (around, around)))
            maps = inputs.shape[-1]
            total = sum(padded[..., shift : shift + maps] for shift in range(self.size))
        else:
            padded = ops.pad(squares, ((0, 0), (around, around), (around, around), (0, 0)))
            total = ops.average_pool(padded, self.size, 1, padding="valid") * self.size**2
        return ops.cast(inputs / ops.power(self.bias + self.alpha * total, self.beta), given.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, from which the layer can be made again."""
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": self.bias, "mode": self.mode}
        return {**super().get_config(), **own}
