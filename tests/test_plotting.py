"""Facts of the figures: axes, data, texts, and that they appear exactly once."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from PIL import Image

from kerascv_course import build_lenet5, layer_table, plotting
from kerascv_course.evaluation import calibration, roc_curves
from kerascv_course.evaluation.curves import RocCurve
from kerascv_course.plotting import style

EPOCHS = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.5, 1.4], "accuracy": [0.2, 0.6, 0.8]}
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TEN = roc_curves(np.arange(40) % 10, np.random.default_rng(4).random((40, 10)), CIFAR)
LONG = [f"a name of several words, number {index}" for index in range(24)]
ENDS = np.array([0.0, 1.0])
CALIBRATION = calibration(np.arange(40) % 3, np.random.default_rng(3).dirichlet(np.full(3, 0.5), 40), bins=10)
FIGURES = {
    "plot_images": lambda: plotting.plot_images(np.zeros((10, 8, 8)), titles=CIFAR, columns=10, caption="ten"),
    "plot_image_table": lambda: plotting.plot_image_table(
        {"dark": np.zeros((2, 8, 8)), "bright, with a long name": np.ones((2, 8, 8))}, CIFAR[:2], caption="table"
    ),
    "plot_history": lambda: plotting.plot_history({"LeNet-5": EPOCHS, LONG[0]: EPOCHS}, caption="three epochs"),
    "plot_confusion_matrix": lambda: plotting.plot_confusion_matrix(
        np.eye(10) * 999, CIFAR, caption="ten classes"
    ),
    "plot_filters": lambda: plotting.plot_filters(np.full((5, 5, 1, 6), 0.071), caption="long tick labels"),
    "plot_feature_maps": lambda: plotting.plot_feature_maps(np.ones((8, 8, 16)), caption="ones"),
    "plot_heatmaps": lambda: plotting.plot_heatmaps(
        np.ones((9, 8, 8)), np.zeros((9, 8, 8)), titles=["two words"] * 9, caption="nine"
    ),
    "plot_latent_map": lambda: plotting.plot_latent_map(
        np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 10, CIFAR, caption="ten classes"
    ),
    "plot_architecture": lambda: plotting.plot_architecture(layer_table(build_lenet5()), caption="LeNet-5"),
    "plot_roc_curves": lambda: plotting.plot_roc_curves(
        [RocCurve(name, ENDS, ENDS, np.array([np.inf, 0]), 0.5) for name in LONG], caption="many long names"
    ),
    "plot_calibration_curve": lambda: plotting.plot_calibration_curve(CALIBRATION, caption="forty images"),
    "plot_learning_rate_finder": lambda: plotting.plot_learning_rate_finder(
        type("Curve", (), {"rates": ENDS + 1, "losses": ENDS, "smoothed_losses": ENDS, "suggestion": 1.5}),
        caption="two steps",
    ),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module", params=FIGURES)
def drawn(request):
    """Give each figure in turn, drawn once for a user who likes large letters."""
    with plt.rc_context({"font.size": 30}):
        figure = FIGURES[request.param]()
        figure.canvas.draw()
        yield figure


def pictures(figure: Figure) -> list[np.ndarray]:
    """Return the arrays behind the images of a figure."""
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


def lines(axis: plt.Axes) -> dict[str, plt.Line2D]:
    return {line.get_label(): line for line in axis.lines}


def legend_texts(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def overlapping(boxes) -> list:
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.padded(-1).overlaps(b.padded(-1))]


# ------------------------------------------------------------------------------------------------ every figure
@pytest.mark.smoke
def test_texts_have_a_readable_size_whatever_the_user_set(drawn):
    texts = [text for text in drawn.findobj(plt.Text) if text.get_text()]
    assert texts
    assert {text.get_fontsize() for text in texts} <= {9, 10}
    assert drawn.get_figwidth() <= 8.2


def test_caption_axes_and_legend_lie_inside_and_apart(drawn):
    (caption,) = (text for text in drawn.findobj(plt.Text) if text.get_text() == drawn.get_suptitle())
    legends = [*drawn.legends, *(axis.get_legend() for axis in drawn.axes if axis.get_legend())]
    boxes = [box.get_window_extent() for box in (caption, *legends)]
    boxes += [axis.get_window_extent() if axis.get_legend() else axis.get_tightbbox() for axis in drawn.axes]
    width, height = drawn.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert not overlapping(boxes)


@pytest.mark.parametrize("name", ["plot_images", "plot_history"])
def test_the_users_settings_are_untouched_and_the_figure_stays_open_for_show(name):
    plt.rcParams["font.size"] = 17
    before = dict(plt.rcParams)
    try:
        figure = FIGURES[name]()
        assert dict(plt.rcParams) == before
    finally:
        plt.rcdefaults()
    assert plt.get_fignums() == [figure.number]


def test_a_notebook_cell_shows_a_figure_exactly_once_and_the_students_own_too():
    setup = "import matplotlib.pyplot as plt\nimport numpy as np\nfrom kerascv_course import plotting\n"
    draw = "plotting.plot_images(np.zeros((2, 8, 8)))"
    sources = {f"{setup}figure = {draw}": 0, "plt.plot([1, 2]);": 1, draw: 1, f"display({draw})\ntext = 'more'": 1}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3")
    client.execute(env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    shown = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in client.nb.cells]
    assert shown == list(sources.values())


@pytest.mark.smoke
def test_plotting_loads_neither_keras_nor_tensorflow():
    code = "import sys, kerascv_course.plotting; print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_one_line_changes_the_colour_map_of_all_figures(monkeypatch):
    monkeypatch.setattr(style, "COLOR_MAP", "magma")
    names = ("plot_feature_maps", "plot_confusion_matrix", "plot_heatmaps")
    for name in names:
        axis = FIGURES[name]().axes[0]
        assert (axis.images or axis.collections)[0].get_cmap().name.startswith("magma"), name


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("plot_history", [0, 0, 1, 1]),
        ("plot_learning_rate_finder", [style.PALE, 0, 1]),
    ],
)
def test_series_take_the_colours_of_the_course_in_their_order(name, colors):
    expected = [style.COLORS[color] if isinstance(color, int) else color for color in colors]
    assert [line.get_color() for line in FIGURES[name]().axes[0].lines] == expected


def test_colours_and_colour_maps_stand_in_style_alone():
    maps = "|".join(matplotlib.colormaps)
    literal = re.compile(rf'"(#[0-9a-fA-F]{{3,8}}|0?\.\d+|black|white|gr[ae]y|C\d|{maps})"')
    files = sorted(Path(plotting.__file__).parent.glob("*.py"))
    assert {file.name for file in files if literal.search(file.read_text("utf-8"))} == {"style.py"}


# ---------------------------------------------------------------------------------------------------- images
@pytest.mark.smoke
def test_each_image_gets_an_axis_with_its_values_and_title():
    images = np.arange(3 * 4 * 5, dtype="uint8").reshape(3, 4, 5)
    figure = plotting.plot_images(images, titles=["one", "two", "three"], caption="Numbers")
    for axis, picture, image in zip(figure.axes, pictures(figure), images, strict=True):
        np.testing.assert_allclose(picture, image / 255)
        assert axis.images[0].get_clim() == (0, 1), "a dark image must stay dark"
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three"]
    assert figure.get_suptitle() == "Numbers"


@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 6, 7, 1), (2, 6, 7, 3)])
@pytest.mark.parametrize("form", ["uint8", "float16", "float64", "list", "tensor"])
def test_grey_and_colour_images_of_any_form_are_shown_alike(shape, form):
    values = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    convert = {"uint8": lambda: values, "list": lambda: list(values), "tensor": lambda: keras.ops.array(values)}
    images = convert.get(form, lambda: (values / 255).astype(form))()
    expected = values.squeeze(-1) if shape[-1] == 1 else values
    np.testing.assert_allclose(pictures(plotting.plot_images(images)), expected / 255, atol=1e-3)


def test_a_mask_of_bools_is_black_and_white():
    (picture,) = pictures(plotting.plot_images(np.array([[[True, False]]])))
    assert picture.tolist() == [[1, 0]]


def test_a_table_names_its_rows_at_their_height_and_its_columns_above():
    rows = {"dark": np.zeros((3, 8, 8)), "bright": np.ones((3, 8, 8))}
    figure = plotting.plot_image_table(rows, ["0.1", "0.2", "0.3"])
    assert [axis.get_title() for axis in figure.axes] == ["0.1", "0.2", "0.3", "", "", ""]
    assert [picture.max() for picture in pictures(figure)] == [0, 0, 0, 1, 1, 1]
    for text, axis in zip(figure.texts, (figure.axes[0], figure.axes[3]), strict=True):
        box = axis.get_position()
        assert text.get_position()[1] == pytest.approx((box.y0 + box.y1) / 2)
        assert text.get_position()[0] < box.x0


def test_images_of_different_sizes_can_be_given_as_a_list():
    shown = pictures(plotting.plot_images([np.zeros((4, 6)), np.ones((8, 3, 3)), np.zeros((2, 2, 1), "uint8")]))
    assert [picture.shape for picture in shown] == [(4, 6), (8, 3, 3), (2, 2)]


@pytest.mark.parametrize(("count", "columns", "expected"), [(5, 8, 5), (9, 8, 8), (5, 2, 2), (2, 6, 2)])
def test_a_grid_has_as_many_columns_as_asked_for(count, columns, expected):
    figure = plotting.plot_images(np.zeros((count, 4, 4)), columns=columns)
    lefts = {round(axis.get_position().x0, 6) for axis in figure.axes}
    assert (len(figure.axes), len(lefts)) == (count, expected)


def test_rounding_errors_outside_zero_to_one_are_clipped():
    (picture,) = pictures(plotting.plot_images(np.array([[[-9e-6, 1 + 9e-6]]])))
    np.testing.assert_array_equal(picture, [[0, 1]])


@pytest.mark.parametrize(("side", "smoothing"), [(64, "nearest"), (65, "auto")])
def test_small_images_show_their_pixels_and_large_ones_are_averaged(side, smoothing):
    figure = plotting.plot_images([np.zeros((side, 4)), np.zeros((4, side))])
    assert [axis.images[0].get_interpolation() for axis in figure.axes] == [smoothing] * 2


def test_an_array_of_images_three_pixels_wide_is_no_colour_image():
    assert len(plotting.plot_images(np.zeros((2, 3, 3))).axes) == 2


# --------------------------------------------------------------------------------------------------- history
@pytest.mark.smoke
def test_history_lines_hold_the_values_over_epochs_from_one():
    loss, accuracy = plotting.plot_history(EPOCHS).axes
    assert [axis.get_ylabel() for axis in (loss, accuracy)] == ["loss", "accuracy"]
    np.testing.assert_array_equal(lines(loss)["training"].get_data(), [[1, 2, 3], EPOCHS["loss"]])
    np.testing.assert_array_equal(lines(loss)["validation"].get_data(), [[1, 2, 3], EPOCHS["val_loss"]])
    assert list(lines(accuracy)) == ["training"]


def test_validation_is_dashed_and_differs_in_colour_when_there_is_one_run():
    found = lines(plotting.plot_history(EPOCHS).axes[0])
    assert [found["training"].get_linestyle(), found["validation"].get_linestyle()] == ["-", "--"]
    assert found["training"].get_color() != found["validation"].get_color()


def test_a_run_keeps_its_colour_and_marker_and_no_two_runs_share_both():
    runs = {f"run {index}": EPOCHS for index in range(9)}
    found = lines(plotting.plot_history(runs).axes[0])
    looks = [(found[f"{run}, training"].get_color(), found[f"{run}, training"].get_marker()) for run in runs]
    assert len(set(looks)) == 9
    for run, look in zip(runs, looks, strict=True):
        validation = found[f"{run}, validation"]
        assert (validation.get_color(), validation.get_marker()) == look


def test_every_line_has_one_legend_entry():
    figure = plotting.plot_history({"plain": EPOCHS, "wide": EPOCHS})
    expected = ["plain, training", "plain, validation", "wide, training", "wide, validation"]
    assert legend_texts(figure.legends[0]) == expected


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_epoch_ticks_are_integers_and_both_ends_have_the_same_small_margin(count):
    axis = plotting.plot_history({"loss": [1.0] * count}).axes[0]
    low, high = axis.get_xlim()
    ticks = [tick for tick in axis.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == int(tick) for tick in ticks)
    assert 1 - low == pytest.approx(high - count) == pytest.approx(max(0.3, 0.03 * count))


def test_a_keras_history_its_dictionary_and_a_named_run_draw_the_same_values():
    history = keras.callbacks.History()
    history.history = EPOCHS
    figures = [plotting.plot_history(form) for form in (history, EPOCHS, {"one": history})]
    values = [figure.axes[0].lines[0].get_ydata() for figure in figures]
    np.testing.assert_array_equal(values, [EPOCHS["loss"]] * 3)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [(None, ["loss", "categorical accuracy"]), (["auc"], ["auc"])],
    ids=["usual", "chosen"],
)
def test_loss_and_every_accuracy_are_the_panels_or_the_chosen_metrics(metrics, expected):
    history = {"auc": [0.5], "val_auc": [0.4], "categorical_accuracy": [0.1], "loss": [1.0]}
    figure = plotting.plot_history(history, metrics=metrics)
    assert [axis.get_ylabel() for axis in figure.axes] == expected


@pytest.mark.parametrize(
    "name",
    ["acc", "sparse_top_k_categorical_accuracy", "top5_acc", "accuracy_1", "top5-acc", "Accuracy", "my accuracy"],
)
def test_an_accuracy_of_any_name_has_its_panel(name):
    history = {"loss": [1.0], name: [0.5], f"val_{name}": [0.4], "backaccess": [0.1], "vacc": [0.2]}
    axes = plotting.plot_history(history).axes
    assert [axis.get_ylabel() for axis in axes] == ["loss", name.replace("_", " ")]
    assert list(lines(axes[1])) == ["training", "validation"]


# ------------------------------------------------------------------------------------------------ evaluation
@pytest.mark.smoke
def test_confusion_matrix_writes_each_count_into_its_cell():
    matrix = np.arange(9).reshape(3, 3)
    axis = plotting.plot_confusion_matrix(matrix, ["cat", "dog", "frog"]).axes[0]
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(column, row): str(matrix[row, column]) for row in range(3) for column in range(3)}
    for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog", "frog"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")
    assert axis.images[0].get_clim() == (0, 8)


@pytest.mark.parametrize(("names", "angle"), [(["cat", "dog"], 0), (["cat", "frog"], 45)])
def test_names_of_more_than_three_letters_are_written_aslant(names, angle):
    axis = plotting.plot_confusion_matrix(np.eye(2), names).axes[0]
    assert [label.get_rotation() for label in axis.get_xticklabels()] == [angle] * 2


@pytest.mark.parametrize(
    ("matrix", "normalize", "texts"),
    [
        ([[3, 1], [0, 0]], True, ["0.75", "0.25", "–", "–"]),
        ([[0.5, 0.5], [0.25, 0.75]], False, ["0.50", "0.50", "0.25", "0.75"]),
    ],
    ids=["a class without examples has dashes", "shares"],
)
def test_shares_are_written_with_two_decimals(matrix, normalize, texts):
    axis = plotting.plot_confusion_matrix(matrix, ["a", "b"], normalize=normalize).axes[0]
    assert [text.get_text() for text in axis.texts] == texts
    assert axis.images[0].get_clim() == (0, 1 if normalize else 0.75)


@pytest.mark.parametrize("color_map", ["viridis", "Blues"])
def test_numbers_contrast_with_their_cells(color_map, monkeypatch):
    monkeypatch.setattr(style, "COLOR_MAP", color_map)
    axis = plotting.plot_confusion_matrix([[0, 50], [49, 100]], ["a", "b"]).axes[0]
    image = axis.images[0]
    for text, value in zip(axis.texts, [0, 50, 49, 100], strict=True):
        cell = np.dot(image.cmap(image.norm(value))[:3], [0.299, 0.587, 0.114])
        assert abs(cell - {"white": 1, "black": 0}[text.get_color()]) > 0.45


@pytest.mark.parametrize(("count", "value"), [(2, 7), (10, 1000), (24, 99_999)])
def test_numbers_and_names_of_many_classes_do_not_touch(count, value):
    axis = plotting.plot_confusion_matrix(np.full((count, count), value), LONG[:count]).axes[0]
    axis.figure.canvas.draw()
    cell = axis.get_window_extent().width / count
    assert max(text.get_window_extent().width for text in axis.texts) < 0.95 * cell
    assert not overlapping([label.get_window_extent() for label in axis.get_yticklabels()])


@pytest.mark.smoke
def test_each_class_has_its_roc_curve_and_its_area_in_the_legend():
    figure = plotting.plot_roc_curves(TEN)
    (axis,) = figure.axes
    *found, guessing = axis.lines
    for line, curve in zip(found, TEN, strict=True):
        np.testing.assert_array_equal(line.get_data(), [curve.false_positive_rates, curve.true_positive_rates])
    texts = [f"{curve.name}  {curve.auc:.3f}" for curve in TEN]
    assert legend_texts(figure.axes[0].get_legend()) == [*texts, "guessing  0.500"]
    np.testing.assert_array_equal(guessing.get_data(), [[0, 1], [0, 1]])


def test_curves_are_told_apart_by_marker_and_line_without_their_colour():
    *found, guessing = plotting.plot_roc_curves([TEN[index % 10] for index in range(24)]).axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in found}) == 24
    assert guessing.get_linestyle() not in {line.get_linestyle() for line in found}


def test_a_class_without_an_area_has_a_dash_in_the_legend_and_no_line():
    curves = roc_curves(np.array([0, 2, 0]), np.full((3, 3), 1 / 3), ["cat", "dog", "frog"])
    figure = plotting.plot_roc_curves(curves)
    assert legend_texts(figure.axes[0].get_legend())[:3] == ["cat  0.500", "dog  –", "frog  0.500"]
    assert len(figure.axes[0].lines[1].get_xdata()) == 0


def test_a_reliability_diagram_has_accuracies_confidences_and_numbers_of_images():
    upper, lower = plotting.plot_calibration_curve(CALIBRATION).axes
    used = [row for row in CALIBRATION.rows if row.images]
    points = lines(upper)["mean of the bin"]
    assert points.get_xdata().tolist() == [row.confidence for row in used]
    assert points.get_ydata().tolist() == [row.accuracy for row in used]
    assert [bar.get_height() for bar in lower.patches] == [row.images for row in CALIBRATION.rows]
    bars, distances = upper.containers
    assert [bar.get_height() for bar in bars] == [row.accuracy for row in used]
    expected = [pytest.approx(row.confidence - row.accuracy) for row in used]
    assert [bar.get_height() for bar in distances] == expected
    assert [bar.get_y() for bar in distances] == [row.accuracy for row in used]
    for axis_bars, rows in ((lower.patches, CALIBRATION.rows), (bars, used), (distances, used)):
        assert [bar.get_x() for bar in axis_bars] == [row.lower for row in rows]
        assert [bar.get_width() for bar in axis_bars] == pytest.approx([row.upper - row.lower for row in rows])
    assert (upper.get_xlim(), upper.get_ylim()) == ((0, 1), (0, 1.02))
    assert f"{CALIBRATION.expected_calibration_error:.3f}" in upper.get_title()


def test_no_legend_covers_a_bin_of_a_reliability_diagram():
    figure = plotting.plot_calibration_curve(calibration(np.zeros(9, int), np.tile([0.3, 0.3, 0.4], (9, 1))))
    assert [axis.get_legend() for axis in figure.axes] == [None, None]
    assert legend_texts(figure.legends[0]) == ["perfectly calibrated", "mean of the bin", "distance"]


# ------------------------------------------------------------------------- filters, feature maps and heatmaps
@pytest.mark.smoke
def test_grey_filters_share_a_scale_around_zero_and_have_a_colour_bar():
    weights = np.random.default_rng(1).normal(size=(5, 4, 1, 6))
    figure = plotting.plot_filters(weights)
    largest = np.abs(weights).max()
    *filters, bar = figure.axes
    assert [axis.images[0].get_clim() for axis in filters] == [(-largest, largest)] * 6
    np.testing.assert_array_equal(pictures(figure), np.moveaxis(weights[:, :, 0], -1, 0))
    assert bar.get_ylabel() == "weight"


def test_colour_filters_are_scaled_together_with_zero_as_mid_grey():
    weights = np.zeros((3, 3, 3, 2))
    weights[0, 0, 0, 0], weights[1, 1, 2, 1] = 2.0, -1.0
    first, second = pictures(plotting.plot_filters(weights))
    np.testing.assert_allclose(first[0, 0], [1, 0.5, 0.5])
    np.testing.assert_allclose(second[1, 1], [0.5, 0.5, 0.25])
    np.testing.assert_allclose(second[2, 2], [0.5, 0.5, 0.5])


def test_the_first_convolution_is_found_in_a_nested_model():
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(2.0), keras.layers.Conv2D(4, 3)])
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Conv2D(7, 3), keras.layers.Flatten()])
    assert len(plotting.plot_filters(outer).axes) == 4


def test_maps_after_a_relu_start_at_zero_and_signed_maps_have_zero_in_the_middle():
    maps = np.array([[[0.5, 2.0]]])
    assert [axis.images[0].get_clim() for axis in plotting.plot_feature_maps(maps).axes[:2]] == [(0, 2)] * 2
    figure = plotting.plot_feature_maps(maps - 3)
    assert [axis.images[0].get_clim() for axis in figure.axes[:2]] == [(-2.5, 2.5)] * 2


@pytest.mark.smoke
def test_each_map_of_a_keras_layer_gets_an_axis_and_the_figure_a_colour_bar():
    maps = keras.ops.array(np.random.default_rng(2).random((6, 5, 10)), "float32")
    figure = plotting.plot_feature_maps(maps, titles=[f"channel {i}" for i in range(10)])
    assert len(figure.axes) == 11
    np.testing.assert_array_equal(pictures(figure), np.moveaxis(np.asarray(maps), -1, 0))
    assert figure.axes[3].get_title() == "channel 3"


@pytest.mark.smoke
@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 6, 7, 1), (2, 6, 7, 3)])
def test_a_heatmap_leaves_the_image_where_it_is_zero_and_colours_it_the_more_the_hotter_it_is(shape):
    heatmaps = np.zeros(shape[:3], "float32")
    heatmaps[:, 1, 2], heatmaps[:, 3, 3] = 0.5, 1
    figure = plotting.plot_heatmaps(np.full(shape, 0.5), heatmaps, titles=["one", "two"])
    *axes, bar = figure.axes
    assert [axis.get_title() for axis in axes] == ["one", "two"]
    for axis in axes:
        picture = np.asarray(axis.images[0].get_array())
        for place, value in (((0, 0), 0.0), ((1, 2), 0.5), ((3, 3), 1.0)):
            color = np.array(axis.images[0].cmap(value)[:3])
            np.testing.assert_allclose(picture[place], 0.5 + 0.7 * value * (color - 0.5), atol=1e-6)
    assert bar.get_ylim() == (0, 1)


# ------------------------------------------------------------------------------------------------- networks
def fronts(figure: Figure, color: str) -> list[np.ndarray]:
    """Return width and height of the fronts of one colour, in their order."""
    rgb = matplotlib.colors.to_rgb(color)
    found = [p for p in figure.axes[0].patches if p.get_facecolor()[:3] == rgb and p.get_alpha() == 0.8]
    return [np.ptp(patch.get_xy(), axis=0) for patch in found]


def test_volumes_are_to_scale():
    figure = plotting.plot_architecture(layer_table(build_lenet5()))
    (width1, height1), (width2, height2) = fronts(figure, style.COLORS[0])
    assert height1 / height2 == pytest.approx(28 / 10)
    assert width2 / width1 == pytest.approx(16 / 6)
    ((_, image),) = fronts(figure, style.GREY)
    assert height1 / image == pytest.approx(28 / 32)
    dense = fronts(figure, style.COLORS[2])
    assert dense[1][1] / dense[0][1] == pytest.approx(84 / 120)
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels == ["32 x 32 x 1", "28 x 28 x 6", "14 x 14 x 6", "10 x 10 x 16", "5 x 5 x 16", "120", "84", "10"]


def test_volumes_stand_apart_and_each_has_its_size_below_its_middle():
    axis = plotting.plot_architecture(layer_table(build_lenet5())).axes[0]
    papers = {patch.get_facecolor()[:3] for patch in axis.patches if patch.get_edgecolor()[3] == 0}
    assert papers == {matplotlib.colors.to_rgb(style.PAPER)}
    faces = [patch.get_xy() for patch in axis.patches if patch.get_alpha()]
    (low, high), (bottom, above) = axis.get_xlim(), axis.get_ylim()
    end, depths = low, []
    for text, right, top, front in zip(axis.texts, faces[::3], faces[1::3], faces[2::3], strict=True):
        x, y = text.get_position()
        assert x == pytest.approx((front[:, 0].min() + front[:, 0].max()) / 2)
        assert front[:, 1].min() - 0.05 < y < front[:, 1].min()
        assert front[:, 1].max() == pytest.approx(-front[:, 1].min())
        assert end < front[:, 0].min()
        end, depth = right[:, 0].max(), np.ptp(top[:, 1])
        depths.append(depth)
        assert right[:, 0].min() == front[:, 0].max()
        assert np.ptp(right[:, 0]) == pytest.approx(0.7 * depth)
        assert bottom < y < top[:, 1].max() <= above
        assert top[:, 1].min() == front[:, 1].max()
    assert end < high
    assert depths == pytest.approx([0.35 * side / 32 for side in (32, 28, 14, 10, 5, 0, 0, 0)])


def test_the_layers_of_a_deep_network_are_one_box_for_each_size():
    layers = [keras.layers.Conv2D(4 + n % 2, 3, strides=1 + n // 10, padding="same") for n in range(19)]
    layers.append(keras.layers.GlobalAveragePooling2D())
    figure = plotting.plot_architecture(layer_table(keras.Sequential([keras.Input((1024, 1024, 3)), *layers])))
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels[:2] == ["1024 x 1024 x 5\n10 layers", "512 x 512 x 4"]
    assert len(labels) == 11


# ------------------------------------------------------------------------------------------------ the latent space
def test_no_two_of_twenty_classes_look_alike_in_a_map():
    figure = plotting.plot_latent_map(np.eye(2), [0, 19], [f"class {number}" for number in range(20)])
    looks = {(handle.get_color(), handle.get_marker()) for handle in figure.legends[0].legend_handles}
    assert len(looks) == 20


@pytest.mark.parametrize(("count", "size"), [(2, 40), (600, 40), (2400, 10), (8000, 3), (9000, 3)])
def test_the_more_points_a_map_has_the_smaller_they_are(count, size):
    points = np.random.default_rng(0).normal(size=(count, 2))
    collections = plotting.plot_latent_map(points, np.zeros(count, int), ["cat"]).axes[0].collections
    assert {tuple(part.get_sizes()) for part in collections} == {(size,)}
    assert sum(len(part.get_offsets()) for part in collections) == count


def test_the_name_of_a_class_stands_at_the_median_of_its_points():
    points = np.array([[0.0, 0], [1, 2], [2, 9], [5, 5]])
    named = plotting.plot_latent_map(points, [0, 0, 0, 1], ["cat", "dog"]).axes[0].texts
    assert [(text.get_text(), *text.xy) for text in named] == [("cat", 1, 2), ("dog", 5, 5)]


def test_an_interactive_map_needs_no_network_and_meets_no_other(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 6, 3), dtype="uint8")
    points = np.random.default_rng(1).normal(size=(7, 2))
    names = ["cat", "</script><b>", "$id & dog"]
    shown = plotting.plot_interactive_map(points, images, np.arange(7) % 3, names)
    first, second = shown._repr_html_(), shown._repr_html_()
    assert first.split('"')[1] != second.split('"')[1]
    assert first.count("</script>") == 1
    shown.save(tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    for text in (first, page):
        assert not any(word in text.lower() for word in ("http", 'src="', "import ", "@import", "//cdn"))
    data = json.loads(re.search(r"const data = (\{.*?\}), root", page)[1])
    assert data["names"] == names
    sheet = Image.open(io.BytesIO(base64.b64decode(data["sheet"].split(",")[1]))).convert("RGB")
    for number, image in enumerate(images):
        row, column = divmod(number, data["columns"])
        box = (6 * column, 8 * row, 6 * column + 6, 8 * row + 8)
        np.testing.assert_array_equal(np.asarray(sheet.crop(box)), image)
    np.testing.assert_array_equal(np.argsort(data["x"]), np.argsort(points[:, 0]))
    np.testing.assert_array_equal(np.argsort(data["y"]), np.argsort(-points[:, 1]))


def test_large_images_are_reduced_in_an_interactive_map():
    data = plotting.plot_interactive_map(np.eye(2), np.zeros((2, 50, 100)), [0, 0], ["cat"])._data
    assert data["size"] == [32, 16]


# ------------------------------------------------------------------------------------------------- bad input
GREY, SMALL, TWO = np.zeros((2, 8, 8)), np.zeros((2, 8, 8), "uint8"), np.eye(2)
FLAT = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()], name="flat")
# What is called, with what, and parts of the message; those that are a TypeError say so.
BAD = [
    ("images", [np.zeros((8, 8))], "`images` of `plot_images` (8, 8) [None]"),
    ("images", [np.zeros((32, 32, 3))], "(32, 32, 3) images[None]"),
    ("images", [np.zeros((2, 8, 8, 4))], "(8, 8, 4)"),
    ("images", [[]], "1 to 256 images 0 images"),
    ("images", [np.zeros((300, 2, 2))], "1 to 256 300 images images[:64]"),
    ("images", [GREY + np.nan], "finite nan"),
    ("images", [GREY + 128.0], "from 0 to 1 128 255"),
    ("images", [GREY - 0.5], "from 0 to 1 -0.5"),
    ("images", [GREY + 1.00002], "from 0 to 1 1.00002"),
    ("images", [GREY - 2e-5], "from 0 to 1 -2e-05"),
    ("images", [np.zeros((257, 2, 2))], "1 to 256 257 images"),
    ("images", [np.zeros((5, 4, 3))], "(5, 4, 3) images[None]"),
    ("images", [GREY.astype("int64")], "TypeError uint8 int64 astype"),
    ("images", [GREY, {"titles": ["one"]}], "`titles` of `plot_images` 2 ['one']"),
    ("images", [GREY, {"titles": "ab"}], "`titles` 'ab'"),
    ("images", [GREY, {"columns": 0}], "`columns` of `plot_images` at least 1"),
    ("image_table", [[GREY], ["a"]], "TypeError `rows` of `plot_image_table` must be a mapping"),
    ("image_table", [{}, ["a"]], "one or more rows of 1 images"),
    ("image_table", [{"x": GREY}, ["a"]], "{'x': 2}"),
    ("image_table", [{"x": GREY}, ["a"] * 13], "`columns` of `plot_image_table` 1 to 12 strings"),
    ("image_table", [{"x": GREY}, "ab"], "`columns` of `plot_image_table` must be a list"),
    ("heatmaps", [GREY, GREY[:1]], "`heatmaps` of `plot_heatmaps` one map [(8, 8)] for images [(8, 8), (8, 8)]"),
    ("heatmaps", [GREY, GREY[:, :4]], "of its size (4, 8)"),
    ("heatmaps", [GREY, GREY + 2.0], "`heatmaps` from 0 to 1 2"),
    ("heatmaps", [GREY, GREY, {"columns": 0}], "`columns` of `plot_heatmaps`"),
    ("history", [[1, 2]], "TypeError `history` of `plot_history` [1, 2]"),
    ("history", [{}], "`history` at least one epoch {}"),
    ("history", [{"loss": 1.0}], "TypeError `history` 1.0"),
    ("history", [{"loss": [1, 2], "val_loss": [1]}], "'val_loss': 1"),
    ("history", [{"a": EPOCHS, "b": [1]}], "TypeError 'b': [1]"),
    ("history", [{"a": EPOCHS, "b": {"loss": []}}], "'b': {'loss': 0}"),
    ("history", [{"auc": [1.0]}], "'loss' or 'accuracy' auc metrics"),
    ("history", [EPOCHS, {"metrics": ["top5"]}], "`metrics` 'accuracy' top5"),
    ("history", [EPOCHS, {"metrics": "loss"}], "`metrics` 'loss'"),
    ("confusion_matrix", [np.ones((2, 3)), "ab"], "`matrix` of `plot_confusion_matrix` square (2, 3)"),
    ("confusion_matrix", [[[1, -1], [0, 1]], ["a", "b"]], "none of them negative -1"),
    ("confusion_matrix", [[[1, np.nan], [0, 1]], ["a", "b"]], "finite nan"),
    ("confusion_matrix", [np.eye(2), ["a"]], "`class_names` 2 strings ['a']"),
    ("filters", [np.ones((5, 5, 6))], "`model_or_weights` of `plot_filters` (5, 5, 6)"),
    ("filters", [np.ones((5, 5, 16, 6))], "1 or 3 (5, 5, 16, 6)"),
    ("filters", [keras.layers.Dense(2)], "convolution Dense"),
    ("feature_maps", [np.ones((1, 8, 8, 4))], "`feature_maps` of `plot_feature_maps` (1, 8, 8, 4) [0]"),
    ("feature_maps", [np.ones((2, 2, 512))], "1 to 256 maps [..., :64]"),
    ("feature_maps", [np.full((2, 2, 1), np.inf)], "`feature_maps` finite"),
    ("architecture", [FLAT], "TypeError `table` of `plot_architecture` layer_table"),
    ("architecture", [layer_table(FLAT)], "`table` writes maps flat"),
    ("roc_curves", [TEN * 3], "`curves` of `plot_roc_curves` 1 to 24 30 of them rows[::2]"),
    ("roc_curves", [TEN[0]], "TypeError `curves` evaluation.roc_curves"),
    ("calibration_curve", [0.1], "TypeError `result` of `plot_calibration_curve` evaluation.calibration 0.1"),
    ("latent_map", [np.zeros((2, 3)), [0, 0], ["cat"]], "`points` of `plot_latent_map` (n, 2)"),
    ("latent_map", [TWO * np.nan, [0, 0], ["cat"]], "`points` finite numbers"),
    ("latent_map", [TWO, [0, 0, 0], ["cat"]], "`labels` of `plot_latent_map` 2 images"),
    ("latent_map", [TWO, [0, 1], ["cat"]], "`labels` from 0 to 0"),
    ("latent_map", [TWO, [0, 1], ["cat"] * 21], "`class_names` 1 to 20 strings"),
    ("interactive_map", [TWO, [SMALL[0], SMALL[1, :4]], [0, 0], ["cat"]], "all of one size"),
    (
        "interactive_map",
        [TWO, SMALL[:1], [0, 0], ["cat"]],
        "`images` of `plot_interactive_map` one image for each",
    ),
    ("interactive_map", [np.zeros((5001, 2)), SMALL, [0], ["cat"]], "`points` 1 to 5,000 points"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), BAD, ids=[f"{row[0]}-{row[2][:40]}" for row in BAD])
def test_bad_input_is_named_before_anything_is_drawn(name, arguments, message):
    options = arguments[-1] if len(arguments) > 1 and isinstance(arguments[-1], dict) else {}
    arguments = arguments[:-1] if options else arguments
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(plotting, f"plot_{name}")(*arguments, **options)
    text = f"{caught.type.__name__} {caught.value}"
    missing = [part for part in re.findall(r"`[^`]*`|\S+", message) if part not in text]
    assert not missing, text
    assert ("TypeError" in message) == (caught.type is TypeError), text
    assert plt.get_fignums() == []
