"""LeNet-5, as the courses teach it."""

import keras
from keras import layers

from kerascv_course._validation import check_choice
from kerascv_course.models.common import checked_input

SMALLEST_SIDE = 16  # two 5x5 convolutions without padding and two halvings leave one pixel of 16


def build_lenet5(
    input_shape: tuple[int, int, int] = (32, 32, 1), num_classes: int = 10, *, variant: str = "keras"
) -> keras.Model:
    """Build LeNet-5: two convolutions and three dense layers.

    On 32x32 grey images it has 61,706 parameters: 156 + 2,416 in the convolutions, 48,120 + 10,164 + 850 in the
    dense layers. The original differs: its second convolution connects each filter to some of the maps only, its
    pooling has weights, and its last layer measures distances.

    Args:
        input_shape: Height, width and channels; each side at least 16 pixels. The model takes float images; the
            courses scale them to 0..1.
        num_classes: Number of classes, at least 2.
        variant: "keras" (Boracchi): tanh convolutions, average pooling, ReLU dense layers, softmax. "manco" (Manco
            CNN): tanh throughout, average pooling, then max pooling, and a log-softmax head, whose outputs are
            logarithms of probabilities: compile it with `SparseCategoricalCrossentropy(from_logits=True)`, which
            leaves log-probabilities as they are.

    Returns:
        An uncompiled functional model from (batch, height, width, channels) to (batch, num_classes).

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a side is below 16 pixels, `num_classes` below 2, or `variant` unknown.

    Example:
        >>> build_lenet5().count_params()
        61706
        >>> build_lenet5(input_shape=(32, 32, 3)).count_params()
        62006

    Source:
        LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998); Boracchi,
        CNNs in Keras (2024); Manco CNN.
    """
    inputs, num_classes = checked_input("build_lenet5", input_shape, SMALLEST_SIDE, num_classes)
    check_choice("build_lenet5", "variant", variant, ("keras", "manco"))
    second_pooling, dense_activation, head_activation = layers.AveragePooling2D, "relu", "softmax"
    if variant == "manco":
        second_pooling, dense_activation, head_activation = layers.MaxPooling2D, "tanh", "log_softmax"
    x = layers.Conv2D(6, 5, activation="tanh", name="conv1")(inputs)
    x = layers.AveragePooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="conv2")(x)
    x = second_pooling(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation=dense_activation, name="dense1")(x)
    x = layers.Dense(84, activation=dense_activation, name="dense2")(x)
    outputs = layers.Dense(num_classes, activation=head_activation, dtype="float32", name="predictions")(x)
    return keras.Model(inputs, outputs, name="lenet5")
