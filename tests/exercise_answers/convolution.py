"""Answers to the exercises of 01_convolution."""

import math

import keras
import numpy as np

from kerascv_course.architecture import conv_output_size

LOPSIDED = np.array([[1, 2, 0], [0, 3, 0], [0, 0, 4]], "float32")

RIGHT = {
    "count_parameters": [
        lambda: (5 * 5 * 3 * 2 + 2, 3 * 3 * 8 * 16 + 16),
        lambda: (np.int64(152), 1168.0),
        lambda: (2 * (75 + 1), keras.ops.convert_to_tensor(1168)),
        lambda: (152.0, np.array([1168])),
        lambda: (two_layers()[0].count_params(), two_layers()[1].count_params()),
    ],
    "output_size": [
        lambda: (floored,),
        lambda: (counted,),
        lambda: (floored_in_floats,),
        lambda: (asked_of_keras,),
        lambda: (cut_off,),
    ],
    "same_padding": [
        lambda: (padding_by_formula,),
        lambda: (padding_by_remainder,),
        lambda: (lambda size, kernel, step: list(padding_by_formula(size, kernel, step)),),
        lambda: (lambda *numbers: np.array(padding_by_formula(*numbers), "float32"),),
        lambda: (padding_step_by_step,),
    ],
    "flipped_kernel": [
        lambda: (LOPSIDED[::-1, ::-1],),
        lambda: (np.rot90(LOPSIDED, 2),),
        lambda: ([[4, 0, 0], [0, 3, 0], [0, 2, 1]],),
        lambda: (keras.ops.flip(LOPSIDED),),
        lambda: (LOPSIDED.ravel()[::-1].reshape(3, 3),),
    ],
    "cheaper_design": [
        lambda: ("two 3 x 3", 28_608),
        lambda: ("Two 3 x 3 ", 102_464 - 73_856.0),
        lambda: ("two 3x3", 7 * 64**2 - 64),
        lambda: ("two 3×3", np.int32(28_608)),
        lambda: ("two_3x3", 28_608.0),
    ],
    "stem_field": [
        lambda: (19,),
        lambda: (np.float64(1 + 6 + 4 + 8),),
        lambda: (np.array(19),),
        lambda: (7 + 2 * 2 + 2 * 4,),
        lambda: (keras.ops.convert_to_tensor(19),),
    ],
}

UNTOUCHED = {
    "count_parameters": (lambda: (None, None), "Put your answer in place of None"),
    "output_size": (lambda: (ceiling,), "it rounds up still"),
    "same_padding": (lambda: (lambda size, kernel_size, stride: None,), "Put your own line"),
    "flipped_kernel": (lambda: (None,), "Put an array made from `lopsided` in place of None"),
    "cheaper_design": (lambda: (None, None), 'Set `cheaper` to "one 5 x 5" or "two 3 x 3"'),
    "stem_field": (lambda: (None,), "Put your answer in place of None"),
}

WRONG = {
    "count_parameters": [
        (lambda: (150, 1168), "`parameters_first` is 150: these are the weights. Each of the 2 filters"),
        (lambda: (151, 1168), "there is not one bias in all"),
        (lambda: (52, 1168), "each filter has a kernel for each of the 3 input maps"),
        (lambda: (76, 1168), "that is one filter. There are 2"),
        (lambda: (156, 1168), "one bias, not one for each input map"),
        (lambda: (32, 1168), "a kernel of 5 x 5 has 25 weights"),
        (lambda: (152, 1152), "`parameters_second` is 1,152: these are the weights. Each of the 16 filters"),
        (lambda: (152, 152), "count kernel height x kernel width x input maps"),
        (lambda: (1168, 152), "`parameters_first` is 1,168: count kernel height"),
        (lambda: (152, (1, 168)), "write 1168 without it"),
        (lambda: ("152", 1168), "write the number without quotes"),
        (lambda: (152, None), "Put your answer in place of None"),
    ],
    "output_size": [
        (lambda: (rounded,), "`output_size(6, 3, 2)` is 3: it rounds up still"),
        (lambda: (without_one,), "one position is missing"),
        (lambda: (unrounded,), "it does not round"),
        (lambda: (padded_once,), "the padding is on both sides"),
        (lambda: (undilated,), "the kernel reaches over D(K - 1) + 1 pixels"),
        (lambda: (lambda *sizes: None,), "returns nothing: does it lack a `return`?"),
        (lambda: (lambda size, kernel_size: size,), "stops with `TypeError"),
        (lambda: (lambda *sizes, **options: sizes / 2,), "stops with `TypeError: unsupported operand"),
        (lambda: (2,), "must be a function; it is of the type int"),
        (lambda: (lambda *sizes, **options: "2",), "is the string '2'"),
    ],
    "same_padding": [
        (lambda: (lambda *n: padding_by_formula(*n)[::-1],), "the pixel that is left over comes behind"),
        (lambda: (lambda size, kernel, stride: (kernel // 2, kernel // 2),), "that is what stride 1 needs"),
        (lambda: (lambda size, kernel, stride: ((kernel - 1) // 2, kernel // 2),), "that is what stride 1 needs"),
        (lambda: (lambda *n: (0, sum(padding_by_formula(*n))),), "as much as possible comes before"),
        (lambda: (lambda *n: (sum(padding_by_formula(*n)),) * 2,), "that is all of it on each side"),
        (lambda: (lambda *n: sum(padding_by_formula(*n)),), "return two numbers"),
        (lambda: (lambda size, kernel, stride: unclipped(size, kernel, stride),), "nothing taken off"),
        (lambda: (lambda *n: (2, 3),), "`same_padding(6, 3, 2)` is [2, 3]"),
        (lambda: (lambda *n: (0, 0),), "`same_padding(224, 7, 2)` is [0, 0]"),
        (
            lambda: (lambda size, kernel, stride: padding_by_formula(size, kernel, 1),),
            "that is what stride 1 needs",
        ),
        (lambda: ((0, 1),), "`same_padding` must be a function"),
    ],
    "flipped_kernel": [
        (lambda: (LOPSIDED,), "That is the kernel as it was"),
        (lambda: (LOPSIDED[::-1],), "The rows are flipped, the columns not yet"),
        (lambda: (np.fliplr(LOPSIDED),), "The columns are flipped, the rows not yet"),
        (lambda: (LOPSIDED.T,), "That is the transposed kernel"),
        (lambda: (np.rot90(LOPSIDED),), "a turn by 90 degrees"),
        (lambda: (-LOPSIDED,), "The sign belongs to the index"),
        (lambda: (LOPSIDED.ravel()[::-1],), "has shape (9,); it must have (3, 3)"),
        (lambda: (LOPSIDED + 1,), "Correlation of one bright pixel"),
        (lambda: (np.rot90(LOPSIDED, 3),), "a turn by 90 degrees"),
    ],
    "cheaper_design": [
        (lambda: ("one 5 x 5", 28_608), "one 5 x 5 has 25 weights for each pair of maps"),
        (lambda: ("two 3 x 3", 7 * 64 * 64), "these are the weights"),
        (lambda: ("two 3 x 3", 7 * 64 * 64 + 64), "the biases count the other way"),
        (lambda: ("two 3 x 3", -28_608), "positive"),
        (lambda: ("two 3 x 3", 73_856), "that is what two 3 x 3 have"),
        (lambda: ("two 3 x 3", 102_464), "that is what one 5 x 5 has"),
        (lambda: ("two 3 x 3", 65_536), "that compares with one 3 x 3"),
        (lambda: ("two 3 x 3", 384), "64 · 64 kernels"),
        (lambda: ("two 5 x 5", 28_608), "`cheaper` must be"),
        (lambda: ("3 x 3", 28_608), '`cheaper` must be `"one 5 x 5"` or `"two 3 x 3"`; it is \'3 x 3\''),
        (lambda: ("two 3 x 3", 1), "use the table with C = 64"),
    ],
    "stem_field": [
        (lambda: (11,), "The last layer adds 2 steps of 4 pixels"),
        (lambda: (29,), "a stride does not widen the layer's own steps"),
        (lambda: (15,), "pooling has a stride, too"),
        (lambda: (18,), "start with 1: the pixel itself"),
        (lambda: (63,), "sizes of kernels are not multiplied"),
        (lambda: (13,), "a layer adds (K - 1) steps"),
        (lambda: (361,), "that is the area"),
        (lambda: (20,), "start with 1; each layer adds"),
        (lambda: (19.5,), "must be an integer"),
        (lambda: ((19, 19),), "`field` must be one number; it is (19, 19)"),
    ],
}


def ceiling(size, kernel_size, stride=1, padding=0, dilation=1):
    free = size + 2 * padding - dilation * (kernel_size - 1) - 1
    return math.ceil(free / stride) + 1


def floored(size, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


def floored_in_floats(size, kernel_size, stride=1.0, padding=0.0, dilation=1.0):
    return np.floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1


def counted(size, kernel_size, stride=1, padding=0, dilation=1):
    reach = dilation * (kernel_size - 1) + 1
    return len([start for start in range(0, size + 2 * padding, stride) if start + reach <= size + 2 * padding])


def rounded(size, kernel_size, stride=1, padding=0, dilation=1):
    return round((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 0.1) + 1


def without_one(size, kernel_size, stride=1, padding=0, dilation=1):
    return floored(size, kernel_size, stride, padding, dilation) - 1


def unrounded(size, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1


def padded_once(size, kernel_size, stride=1, padding=0, dilation=1):
    return (size + padding - dilation * (kernel_size - 1) - 1) // stride + 1


def undilated(size, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - kernel_size) // stride + 1


def two_layers():
    first, second = keras.layers.Conv2D(2, 5), keras.layers.Conv2D(16, 3)
    first.build((None, 8, 8, 3))
    second.build((None, 8, 8, 8))
    return first, second


def asked_of_keras(size, kernel_size, stride=1, padding=0, dilation=1):
    image = np.zeros((1, size + 2 * padding, 1), "float32")
    if stride > 1 and dilation > 1:  # Keras does not combine them
        return conv_output_size(size, kernel_size, stride=stride, padding=padding, dilation=dilation)
    kernel = np.zeros((kernel_size, 1, 1), "float32")
    return keras.ops.conv(image, kernel, strides=stride, dilation_rate=dilation).shape[1]


def cut_off(size, kernel_size, stride=1, padding=0, dilation=1):
    return int((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1)


def padding_by_formula(size, kernel_size, stride):
    outputs = (size - 1) // stride + 1
    added = max((outputs - 1) * stride + kernel_size - size, 0)
    return added // 2, added - added // 2


def padding_by_remainder(size, kernel_size, stride):
    added = max(kernel_size - (size % stride or stride), 0)
    return added // 2, (added + 1) // 2


def padding_step_by_step(size, kernel_size, stride):
    end = list(range(0, size, stride))[-1] + kernel_size
    before = behind = 0
    while size + before + behind < end:
        behind, before = (behind + 1, before) if behind == before else (behind, before + 1)
    return before, behind


def unclipped(size, kernel_size, stride):
    added = (size - 1) // stride * stride + kernel_size - size
    return added // 2, added - added // 2
