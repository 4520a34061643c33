"""What an evaluation gives: who is taken for whom, how well classes are told apart, how sure a model is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import as_numbers, check_class_names, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import check_records, integer_ticks, look, panels, styled, with_caption, wrap

_MOST_CURVES = 24


@styled
def plot_confusion_matrix(
    matrix: Any, class_names: Sequence[str], *, normalize: bool = False, caption: str | None = None
) -> Figure:
    """Draw a confusion matrix with its numbers: true classes in rows, predicted classes in columns.

    Args:
        matrix: Array (classes, classes) of counts or shares, none of them negative.
        class_names: One name per class, in the order of the matrix.
        normalize: Divide each row by its sum, so that the diagonal shows the share of each class that was found.
            A class without examples shows dashes.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis with a number in each cell.

    Raises:
        ValueError: If the matrix is not square, has negative or non-finite values, or does not fit the names.

    Example:
        >>> figure = plot_confusion_matrix([[8, 2], [0, 5]], ["cat", "dog"], normalize=True)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.80', '0.20', '0.00', '1.00']

    Source: `sklearn.metrics.ConfusionMatrixDisplay` draws it.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    function, rule = "plot_confusion_matrix", "a square array (classes, classes) of numbers, none of them negative"
    counts = as_numbers(function, "matrix", matrix, rule)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0 or counts.min() < 0:
        raise input_error(function, "matrix", rule, matrix)
    names = check_class_names(function, class_names, len(counts))
    sums = counts.sum(axis=1, keepdims=True)
    is_whole = not normalize and bool((counts == np.round(counts)).all())
    if normalize:
        counts = counts / np.where(sums > 0, sums, 1)
    form = ".0f" if is_whole else ".2f"
    digits, letters = len(f"{counts.max():{form}}"), max(map(len, names))
    side = max(2.2, max(0.4, 0.12 + 0.09 * digits) * len(counts))
    is_long = letters > 3  # longer names would run into each other
    beside = 0.6 + 0.085 * min(letters, 30)
    figure, (axis,) = panels(size=(side + beside, side + (0.75 * beside if is_long else 0.6)), grid=None)
    shown = ConfusionMatrixDisplay(confusion_matrix=counts, display_labels=names)
    scale = {"vmin": 0, "vmax": 1 if normalize else counts.max() or 1}
    shown.plot(ax=axis, cmap=style.COLOR_MAP, values_format=form, colorbar=False, im_kw=scale)
    axis.set(xlabel="predicted class", ylabel="true class")
    if is_long:
        for label in axis.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    for row, column in np.ndindex(counts.shape):
        text = shown.text_[row, column]
        color = np.dot(shown.im_.cmap(shown.im_.norm(counts[row, column]))[:3], (0.299, 0.587, 0.114))
        text.set_color(style.PAPER if color < 0.5 else style.INK)  # scikit-learn's are pale in the middle
        if normalize and not sums[row, 0]:
            text.set_text("–")
    return with_caption(figure, caption)


@styled
def plot_roc_curves(curves: Sequence[Any], *, caption: str | None = None) -> Figure:
    """Draw ROC curves into one axis, with the area under each in the legend.

    Args:
        curves: What `evaluation.roc_curves` returned, or some of it: 1 to 24 records with `name`,
            `false_positive_rates`, `true_positive_rates` and `auc`. One without an area has an entry in the
            legend, with a dash, and no line.
        caption: A sentence above the figure.

    Returns:
        The figure: one axis. No two curves share marker and line style; the dashed diagonal is guessing.

    Raises:
        ValueError: If there is no curve or more than 24.
        TypeError: If `curves` is no list of such records.

    Example:
        >>> from kerascv_course.evaluation import roc_curves
        >>> curves = roc_curves(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), ["cat", "dog"])
        >>> figure = plot_roc_curves(curves)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['dog  0.750', 'guessing  0.500']

    Source: `sklearn.metrics.RocCurveDisplay` draws them.
    """
    from sklearn.metrics import RocCurveDisplay

    fields = ("name", "false_positive_rates", "true_positive_rates", "auc")
    rule = "curves as `evaluation.roc_curves` returns them"
    rows = check_records("plot_roc_curves", "curves", curves, rule, *fields, most=_MOST_CURVES)
    labels = [wrap(f"{curve.name}  {'–' if curve.auc is None else f'{curve.auc:.3f}'}", 2.6) for curve in rows]
    lines = [line for label in labels for line in label.splitlines()]
    width = 4.5 + max(1.95, 0.6 + 0.075 * max(map(len, lines)))  # inches, with what the legend takes
    height = max(4.4, 0.205 * (len(lines) + 2) + 0.6)  # the diagonal and the title are lines
    figure, (axis,) = panels(size=(min(style.WIDTH, width), height))
    for index, (curve, label) in enumerate(zip(rows, labels, strict=True)):
        rates = np.asarray(curve.false_positive_rates), np.asarray(curve.true_positive_rates)
        drawn = RocCurveDisplay(fpr=rates[0], tpr=rates[1]).plot(axis, name=label).line_
        # A few markers along the line, each curve's at places of its own.
        drawn.set(markevery=(0.04 + 0.2 * (index * 0.382 % 1), 0.2), **look(index, line=True))
    axis.plot([0, 1], [0, 1], color=style.GREY, linestyle="--", label="guessing  0.500", zorder=1)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", anchor="NE")
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
    axis.legend(title="class, area under the curve", alignment="left", **beside)
    return with_caption(figure, caption)


@styled
def plot_calibration_curve(result: Any, *, caption: str | None = None) -> Figure:
    """Draw a reliability diagram: how often a model is right, over how sure it is, and how many images that are.

    Args:
        result: What `evaluation.calibration` returned: `rows` with `lower`, `upper`, `images`, `confidence` and
            `accuracy`, and `expected_calibration_error`.
        caption: A sentence above the figure.

    Returns:
        The figure: above a bar and a point for each bin with images, the dotted diagonal where both agree and the
        hatched distance to it; below the number of images in each bin.

    Raises:
        TypeError: If `result` is no such record.

    Example:
        >>> from kerascv_course.evaluation import calibration
        >>> found = calibration(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), bins=2)
        >>> upper, lower = plot_calibration_curve(found).axes
        >>> [int(bar.get_height()) for bar in lower.patches]
        [0, 3]

    Source: `sklearn.calibration.CalibrationDisplay` draws the curve.
    """
    from sklearn.calibration import CalibrationDisplay

    function, rule = "plot_calibration_curve", "what `evaluation.calibration` returned"
    fields = ("lower", "upper", "images", "confidence", "accuracy")
    rows = check_records(function, "result", result, rule, *fields, beside="expected_calibration_error")
    figure, (upper, lower) = panels(2, 1, size=(5.2, 6.0), sharex=True, height_ratios=(3, 1))
    left = np.array([row.lower for row in rows])
    width = np.array([row.upper - row.lower for row in rows])
    used = np.array([row.accuracy is not None for row in rows])
    confidence, accuracy = np.array([[row.confidence, row.accuracy] for row in rows if row.accuracy is not None]).T
    bar: dict[str, Any] = {"align": "edge", "edgecolor": style.PAPER, "linewidth": 0.5}
    lower.bar(left, [row.images for row in rows], width, color=style.COLORS[0], **bar)
    upper.bar(left[used], accuracy, width[used], color=style.COLORS[5], **bar)
    bar |= {"bottom": accuracy, "edgecolor": style.COLORS[1], "hatch": "////", "linewidth": 0, "label": "distance"}
    upper.bar(left[used], confidence - accuracy, width[used], color="none", **bar)
    answers = np.repeat(confidence, [row.images for row in rows if row.accuracy is not None])
    CalibrationDisplay(accuracy, confidence, answers).plot(ax=upper, name="mean of the bin", **look(0))
    upper.legend().remove()  # it covers bins: the figure's stands below
    upper.lines[0].set_label("perfectly calibrated")
    upper.set(ylim=(0, 1.02), xlim=(0, 1), xlabel="", ylabel="accuracy")
    upper.set_title(f"expected calibration error {result.expected_calibration_error:.3f}")
    lower.set(xlabel="confidence", ylabel="images")
    integer_ticks(lower.yaxis, 4)
    figure.legend(loc="outside lower center", ncols=3)
    return with_caption(figure, caption)
