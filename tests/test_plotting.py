"""Facts of the figures: axes, data, texts, and that they appear exactly once."""

import base64
import io
import json
import os
import re
import subprocess
import sys

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
from kerascv_course.architecture import ModelRecord, compare_models
from kerascv_course.evaluation import RocCurve, calibration, roc_curves
from kerascv_course.explain import LayerStatistics
from kerascv_course.plotting.evaluation import plot_calibration_curve
from kerascv_course.plotting.statistics import plot_activation_histograms, plot_activation_statistics
from kerascv_course.transfer import SweepResults, SweepRow

EPOCHS = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.5, 1.4], "accuracy": [0.2, 0.6, 0.8]}
TEN = roc_curves(np.arange(40) % 10, np.random.default_rng(4).random((40, 10)), [f"class {i}" for i in range(10)])
SWEEP = [
    {"unfrozen_blocks": number, "trainable_params": 2_000 * number + 500, "val_accuracy": share}
    for number, share in ((0, 0.5), (1, 0.6), (3, 0.8))
]


def layer_statistics(name, steps, bins=16):
    """Return a record of a layer whose activations grow with the steps."""
    rng = np.random.default_rng(len(name))
    values = [rng.normal(size=200) * (1 + step / 10) / 4 for step in steps]
    counts = np.stack([np.histogram(numbers, bins, (-8, 8))[0] for numbers in values])
    means, deviations = np.array([(numbers.mean(), numbers.std()) for numbers in values]).T
    zeros = np.linspace(0, 1, len(steps))
    return LayerStatistics(name, np.array(steps), means, deviations, zeros, counts, np.linspace(-8, 8, bins + 1))


STATISTICS = [layer_statistics(f"inner/block{number}", range(0, 120, 10)) for number in range(5)]
CALIBRATION = calibration(np.arange(40) % 3, np.random.default_rng(3).dirichlet(np.full(3, 0.5), 40), bins=10)
FIGURES = {
    "plot_images": lambda: plotting.plot_images(
        np.zeros((3, 8, 8), "uint8"), titles=["a", "b", "c"], caption="zeros"
    ),
    "plot_image_table": lambda: plotting.plot_image_table(
        {"dark": np.zeros((2, 8, 8)), "bright, with a long name": np.ones((2, 8, 8))},
        ["a", "b"],
        caption="two by two",
    ),
    "plot_history": lambda: plotting.plot_history(EPOCHS, caption="three epochs"),
    "plot_confusion_matrix": lambda: plotting.plot_confusion_matrix(
        np.eye(10), list("abcdefghij"), caption="ten classes"
    ),
    "plot_filters": lambda: plotting.plot_filters(np.full((5, 5, 1, 6), 0.071), caption="long tick labels"),
    "plot_feature_maps": lambda: plotting.plot_feature_maps(np.ones((8, 8, 16)), caption="ones"),
    "plot_heatmaps": lambda: plotting.plot_heatmaps(
        np.ones((9, 8, 8)), np.zeros((9, 8, 8)), titles=["two words"] * 9, caption="nine"
    ),
    "plot_latent_map": lambda: plotting.plot_latent_map(
        np.random.default_rng(0).normal(size=(50, 2)),
        np.arange(50) % 10,
        list("abcdefghij"),
        caption="ten classes",
    ),
    "plot_image_mosaic": lambda: plotting.plot_image_mosaic(
        np.zeros((30, 8, 8, 3)), np.random.default_rng(0).normal(size=(30, 2)), caption="thirty"
    ),
    "plot_retrieval": lambda: plotting.plot_retrieval(
        np.zeros((2, 8, 8), "uint8"),
        np.zeros((2, 9, 8, 8), "uint8"),
        labels=[0, 1],
        neighbour_labels=np.arange(18).reshape(2, 9) % 2,
        class_names=["automobile", "cat"],
        distances=np.ones((2, 9)),
        caption="two queries",
    ),
    "plot_architecture": lambda: plotting.plot_architecture(layer_table(build_lenet5()), caption="LeNet-5"),
    "plot_model_costs": lambda: plotting.plot_model_costs(compare_models([build_lenet5()]).rows, caption="one"),
    "plot_roc_curves": lambda: plotting.plot_roc_curves(
        TEN, caption="ten classes, in a sentence that is rather long"
    ),
    "plot_unfreeze_sweep": lambda: plotting.plot_unfreeze_sweep(SWEEP, caption="three steps"),
    "plot_calibration_curve": lambda: plot_calibration_curve(CALIBRATION, caption="forty images"),
    "plot_activation_statistics": lambda: plot_activation_statistics(STATISTICS, caption="five layers"),
    "plot_activation_histograms": lambda: plot_activation_histograms(STATISTICS, caption="five layers"),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def pictures(figure: Figure) -> list[np.ndarray]:
    """Return the arrays behind the images of a figure."""
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


def lines(axis: plt.Axes) -> dict[str, plt.Line2D]:
    return {line.get_label(): line for line in axis.lines}


# ------------------------------------------------------------------------------------------------ every figure
@pytest.mark.parametrize("name", FIGURES)
def test_user_settings_are_untouched(name):
    plt.rcParams["font.size"] = 17
    before = dict(plt.rcParams)
    try:
        FIGURES[name]()
        assert dict(plt.rcParams) == before
    finally:
        plt.rcdefaults()


@pytest.mark.smoke
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("font_size", [6, 30])
def test_texts_have_a_readable_size_whatever_the_user_set(name, font_size):
    with plt.rc_context({"font.size": font_size}):
        figure = FIGURES[name]()
        figure.canvas.draw()
    texts = [text for text in figure.findobj(plt.Text) if text.get_text()]
    assert texts
    assert {text.get_fontsize() for text in texts} <= {9, 10}
    assert figure.get_figwidth() <= 9


@pytest.mark.parametrize("name", FIGURES)
def test_caption_axes_and_legend_lie_inside_and_apart(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    (caption,) = (text for text in figure.findobj(plt.Text) if text.get_text() == figure.get_suptitle())
    boxes = [caption.get_window_extent(), *(legend.get_window_extent() for legend in figure.legends)]
    boxes += [axis.get_tightbbox() for axis in figure.axes]
    width, height = figure.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.padded(-1).overlaps(b.padded(-1))]


@pytest.mark.parametrize("name", FIGURES)
def test_in_a_script_the_figure_stays_open_for_show(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", FIGURES)
def test_under_the_inline_backend_the_figure_is_closed(name):
    usual = matplotlib.get_backend()
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    try:
        figure = FIGURES[name]()
        assert plt.get_fignums() == []
        assert isinstance(figure, Figure)
    finally:
        plt.switch_backend(usual)


def test_a_notebook_cell_shows_the_figure_exactly_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    setup = "import numpy as np\nfrom IPython.display import display\nfrom kerascv_course import plotting"
    last_line = "plotting.plot_images(np.zeros((2, 8, 8)))"
    middle = "display(plotting.plot_images(np.zeros((2, 8, 8))))\ntext = 'more'"
    assigned = "figure = plotting.plot_images(np.zeros((2, 8, 8)))"
    cells = [nbformat.v4.new_code_cell(source) for source in (setup, last_line, middle, assigned)]
    notebook = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    shown = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in notebook.cells]
    assert shown == [0, 1, 1, 0]


def test_after_a_figure_of_the_course_a_notebook_still_shows_the_students_own():
    setup = "import matplotlib.pyplot as plt\nimport numpy as np\nfrom kerascv_course import plotting"
    ours = "figure = plotting.plot_images(np.zeros((2, 8, 8)))"
    own = "plt.plot([1, 2]);"
    cells = [nbformat.v4.new_code_cell(source) for source in (f"{setup}\n{ours}", own)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    inline = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env=inline)
    assert [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in notebook.cells] == [
        0,
        1,
    ]


@pytest.mark.smoke
def test_plotting_loads_neither_keras_nor_tensorflow():
    code = "import sys, kerascv_course.plotting; print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------------- images
@pytest.mark.smoke
def test_each_image_gets_an_axis_with_its_values_and_title():
    images = np.arange(3 * 4 * 5, dtype="uint8").reshape(3, 4, 5)
    figure = plotting.plot_images(images, titles=["one", "two", "three"], caption="Numbers")
    assert len(figure.axes) == 3
    for axis, picture, image in zip(figure.axes, pictures(figure), images, strict=True):
        np.testing.assert_allclose(picture, image / 255)
        assert axis.images[0].get_clim() == (0, 1), "a dark image must stay dark"
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three"]
    assert figure.get_suptitle() == "Numbers"


@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 6, 7, 1), (2, 6, 7, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_grey_and_colour_images_of_bytes_and_floats_are_shown_alike(shape, dtype):
    values = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    images = values if dtype == "uint8" else (values / 255).astype(dtype)
    expected = values.squeeze(-1) if shape[-1] == 1 else values
    drawn = pictures(plotting.plot_images(images))
    np.testing.assert_allclose(drawn, expected / 255, atol=1e-3)


def test_a_table_names_its_rows_at_their_height_and_its_columns_above():
    rows = {"dark": np.zeros((3, 8, 8)), "bright": np.ones((3, 8, 8))}
    figure = plotting.plot_image_table(rows, ["0.1", "0.2", "0.3"])
    assert [axis.get_title() for axis in figure.axes] == ["0.1", "0.2", "0.3", "", "", ""]
    assert [picture.max() for picture in pictures(figure)] == [0, 0, 0, 1, 1, 1]
    for text, axis in zip(figure.texts, (figure.axes[0], figure.axes[3]), strict=True):
        box = axis.get_position()
        assert text.get_position()[1] == pytest.approx((box.y0 + box.y1) / 2)
        assert text.get_position()[0] < box.x0


@pytest.mark.parametrize(
    ("rows", "columns", "error", "words"),
    [
        ([np.zeros((1, 8, 8))], ["a"], TypeError, "`rows` of `plot_image_table` must be a mapping"),
        ({}, ["a"], ValueError, "`rows` of `plot_image_table` must be one or more rows of 1 images"),
        ({"x": np.zeros((2, 8, 8))}, ["a"], ValueError, "{'x': 2}"),
        ({"x": np.zeros((1, 8, 8))}, "a", ValueError, "`columns` of `plot_image_table` must be a list"),
        ({"x": np.full((1, 8, 8), 7.0)}, ["a"], ValueError, "`rows` of `plot_image_table` must be finite floats"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(rows, columns, error, words):
    with pytest.raises(error, match=words):
        plotting.plot_image_table(rows, columns)


def test_images_of_different_sizes_can_be_given_as_a_list():
    drawn = pictures(plotting.plot_images([np.zeros((4, 6)), np.ones((8, 3, 3)), np.zeros((2, 2, 1), "uint8")]))
    assert [picture.shape for picture in drawn] == [(4, 6), (8, 3, 3), (2, 2)]


@pytest.mark.parametrize(("count", "columns", "expected"), [(5, None, 5), (9, None, 8), (5, 2, 2), (2, 6, 2)])
def test_a_grid_has_as_many_columns_as_asked_for(count, columns, expected):
    figure = plotting.plot_images(np.zeros((count, 4, 4)), columns=columns)
    lefts = {round(axis.get_position().x0, 6) for axis in figure.axes}
    assert (len(figure.axes), len(lefts)) == (count, expected)


def test_images_do_not_overlap_and_stay_inside():
    figure = plotting.plot_images(np.zeros((11, 6, 4)), titles=["a text of several words"] * 11, caption="Eleven")
    figure.canvas.draw()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.padded(-1).overlaps(b.padded(-1))]
    width, height = figure.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_rounding_errors_outside_zero_to_one_are_clipped():
    (picture,) = pictures(plotting.plot_images(np.array([[[-1e-6, 1 + 1e-6]]])))
    np.testing.assert_array_equal(picture, [[0, 1]])


# --------------------------------------------------------------------------------------------------- history
@pytest.mark.smoke
def test_history_lines_hold_the_values_over_epochs_from_one():
    figure = plotting.plot_history(EPOCHS)
    loss, accuracy = figure.axes
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    np.testing.assert_array_equal(lines(loss)["training"].get_data(), [[1, 2, 3], EPOCHS["loss"]])
    np.testing.assert_array_equal(lines(loss)["validation"].get_data(), [[1, 2, 3], EPOCHS["val_loss"]])
    assert list(lines(accuracy)) == ["training"]


def test_validation_is_dashed_and_differs_in_colour_when_there_is_one_run():
    drawn = lines(plotting.plot_history(EPOCHS).axes[0])
    assert [drawn["training"].get_linestyle(), drawn["validation"].get_linestyle()] == ["-", "--"]
    assert drawn["training"].get_color() != drawn["validation"].get_color()


def test_a_run_keeps_its_colour_and_marker_and_no_two_runs_share_both():
    runs = {f"run {index}": EPOCHS for index in range(9)}
    drawn = lines(plotting.plot_history(runs).axes[0])
    looks = [(drawn[f"{run}, training"].get_color(), drawn[f"{run}, training"].get_marker()) for run in runs]
    assert len(set(looks)) == 9
    for run, look in zip(runs, looks, strict=True):
        validation = drawn[f"{run}, validation"]
        assert (validation.get_color(), validation.get_marker()) == look
        assert validation.get_linestyle() == "--"


def test_every_line_has_one_legend_entry():
    figure = plotting.plot_history({"plain": EPOCHS, "wide": EPOCHS})
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["plain, training", "plain, validation", "wide, training", "wide, validation"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40, 300])
def test_epoch_ticks_are_whole_numbers(count):
    axis = plotting.plot_history({"loss": [1.0] * count}).axes[0]
    low, high = axis.get_xlim()
    ticks = [tick for tick in axis.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == int(tick) for tick in ticks)
    assert 0 < low < 1 or count > 30
    assert low < 1 <= count < high


def test_a_keras_history_its_dictionary_and_a_named_run_draw_the_same_values():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0)
    figures = [plotting.plot_history(form) for form in (history, history.history, {"one": history})]
    values = [figure.axes[0].lines[0].get_ydata() for figure in figures]
    np.testing.assert_array_equal(values, [history.history["loss"]] * 3)


def test_chosen_metrics_become_the_panels():
    history = {"loss": [1.0], "auc": [0.5], "val_auc": [0.4]}
    figure = plotting.plot_history(history, metrics=["auc"])
    assert [axis.get_ylabel() for axis in figure.axes] == ["auc"]
    assert [len(lines(axis)) for axis in figure.axes] == [2]
    assert [axis.get_ylabel() for axis in plotting.plot_history(history).axes] == ["loss"]


# ------------------------------------------------------------------------------------------ confusion matrix
@pytest.mark.smoke
def test_confusion_matrix_writes_each_count_into_its_cell():
    matrix = np.arange(9).reshape(3, 3)
    axis = plotting.plot_confusion_matrix(matrix, ["cat", "dog", "frog"]).axes[0]
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(column, row): str(matrix[row, column]) for row in range(3) for column in range(3)}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog", "frog"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog", "frog"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")


def test_normalized_rows_sum_to_one_and_an_empty_class_shows_dashes():
    axis = plotting.plot_confusion_matrix([[3, 1], [0, 0]], ["a", "b"], normalize=True).axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.75", "0.25", "–", "–"]


def test_shares_are_written_with_two_decimals():
    axis = plotting.plot_confusion_matrix([[0.5, 0.5], [0.25, 0.75]], ["a", "b"]).axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.50", "0.50", "0.25", "0.75"]


def test_numbers_contrast_with_their_cells():
    axis = plotting.plot_confusion_matrix([[0, 50], [5, 100]], ["a", "b"]).axes[0]
    image = axis.images[0]
    for text, value in zip(axis.texts, [0, 50, 5, 100], strict=True):
        cell = np.dot(image.cmap(image.norm(value))[:3], [0.299, 0.587, 0.114])
        assert abs(cell - {"white": 1, "black": 0}[text.get_color()]) > 0.45


def test_numbers_of_ten_classes_fit_their_cells():
    axis = plotting.plot_confusion_matrix(np.full((10, 10), 1000), list("abcdefghij")).axes[0]
    axis.figure.canvas.draw()
    cell = axis.get_window_extent().width / 10
    assert max(text.get_window_extent().width for text in axis.texts) < 0.9 * cell


# --------------------------------------------------------------------------------------------------- filters
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


# ----------------------------------------------------------------------------------------------- activations
def test_maps_after_a_relu_start_at_zero_and_signed_maps_have_zero_in_the_middle():
    maps = np.array([[[0.5, 2.0]]])
    assert [axis.images[0].get_clim() for axis in plotting.plot_feature_maps(maps).axes[:2]] == [(0, 2)] * 2
    figure = plotting.plot_feature_maps(maps - 3)
    assert [axis.images[0].get_clim() for axis in figure.axes[:2]] == [(-2.5, 2.5)] * 2


@pytest.mark.smoke
def test_each_map_gets_an_axis_and_the_figure_a_colour_bar():
    maps = np.random.default_rng(2).random((6, 5, 10))
    figure = plotting.plot_feature_maps(maps, titles=[f"channel {i}" for i in range(10)], columns=5)
    assert len(figure.axes) == 11
    np.testing.assert_array_equal(pictures(figure), np.moveaxis(maps, -1, 0))
    assert figure.axes[3].get_title() == "channel 3"


def test_maps_of_a_keras_layer_can_be_passed_as_they_are():
    maps = keras.layers.Conv2D(3, 3)(np.ones((1, 8, 8, 1), "float32"))[0]
    assert len(plotting.plot_feature_maps(maps).axes) == 4


# ------------------------------------------------------------------------------------------------- heatmaps
@pytest.mark.smoke
@pytest.mark.parametrize("shape", [(2, 6, 7), (2, 6, 7, 1), (2, 6, 7, 3)])
def test_a_heatmap_leaves_the_image_where_it_is_zero_and_colours_it_the_more_the_hotter_it_is(shape):
    images = np.full(shape, 0.5)
    heatmaps = np.zeros(shape[:3], "float32")
    heatmaps[:, 1, 2], heatmaps[:, 3, 3] = 0.5, 1
    figure = plotting.plot_heatmaps(images, heatmaps, titles=["one", "two"])
    *axes, bar = figure.axes
    assert [axis.get_title() for axis in axes] == ["one", "two"]
    for axis in axes:
        picture = np.asarray(axis.images[0].get_array())
        for place, value in (((0, 0), 0.0), ((1, 2), 0.5), ((3, 3), 1.0)):
            color = np.array(axis.images[0].cmap(value)[:3])
            np.testing.assert_allclose(picture[place], 0.5 + 0.7 * value * (color - 0.5), atol=1e-6)
    assert bar.get_ylim() == (0, 1)
    assert "heat" in bar.get_ylabel()


def test_heatmaps_of_images_of_different_sizes_can_be_given_as_lists():
    images = [np.zeros((4, 6)), np.ones((8, 3, 3))]
    drawn = pictures(plotting.plot_heatmaps(images, [np.ones((4, 6)), np.zeros((8, 3))]))
    assert [picture.shape for picture in drawn] == [(4, 6, 3), (8, 3, 3)]
    np.testing.assert_array_equal(drawn[1], images[1])


# ------------------------------------------------------------------------------------------------- networks


def boxes(figure: Figure, color: str) -> list[tuple[float, float]]:
    """Return width and height of the fronts of one colour, in their order."""
    rgb = matplotlib.colors.to_rgb(color)
    fronts = [p for p in figure.axes[0].patches if p.get_facecolor()[:3] == rgb and p.get_alpha() == 0.8]
    return [tuple(np.ptp(patch.get_xy(), axis=0)) for patch in fronts]


def test_volumes_are_to_scale():
    figure = plotting.plot_architecture(layer_table(build_lenet5()))
    (width1, height1), (width2, height2) = boxes(figure, "#0072B2")
    assert height1 / height2 == pytest.approx(28 / 10)
    assert width2 / width1 == pytest.approx(16 / 6)
    (image,) = boxes(figure, "#9a9a9a")
    assert height1 / image[1] == pytest.approx(28 / 32)
    dense = boxes(figure, "#009E73")
    assert dense[1][1] / dense[0][1] == pytest.approx(84 / 120)
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels == ["32 x 32 x 1", "28 x 28 x 6", "14 x 14 x 6", "10 x 10 x 16", "5 x 5 x 16", "120", "84", "10"]


def test_the_layers_of_a_deep_network_are_one_box_for_each_size():
    layers = [keras.layers.Conv2D(4 + n % 2, 3, strides=1 + n // 10, padding="same") for n in range(19)]
    layers.append(keras.layers.GlobalAveragePooling2D())
    figure = plotting.plot_architecture(layer_table(keras.Sequential([keras.Input((1024, 1024, 3)), *layers])))
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels[:2] == ["1024 x 1024 x 5\n10 layers", "512 x 512 x 4"]
    assert len(labels) == 11


def test_each_model_is_a_point_with_its_name_beside_it():
    record = compare_models([build_lenet5()]).rows[0]
    records = [ModelRecord(f"net{n}", 10**n, 10**n, 2 * 10**n, *[1] * 6, None) for n in range(3, 9)]
    figure = plotting.plot_model_costs([record, *records])
    (axis,) = figure.axes
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines]
    assert points[0] == (record.params / 1e6, record.macs / 1e9)
    assert {text.get_text() for text in axis.texts} == {"lenet5", *(record.name for record in records)}
    assert len(points) == 7
    figure.canvas.draw()
    frames = [text.get_window_extent() for text in axis.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])


# ------------------------------------------------------------------------------------------------ evaluation
def legend_texts(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.smoke
def test_each_class_has_its_roc_curve_and_its_area_in_the_legend():
    (axis,) = plotting.plot_roc_curves(TEN).axes
    *drawn, guessing = axis.lines
    for line, curve in zip(drawn, TEN, strict=True):
        np.testing.assert_array_equal(line.get_data(), [curve.false_positive_rates, curve.true_positive_rates])
    texts = [f"{curve.name}  {curve.auc:.3f}" for curve in TEN]
    assert legend_texts(axis.get_legend()) == [*texts, "guessing  0.500"]
    np.testing.assert_array_equal(guessing.get_data(), [[0, 1], [0, 1]])
    assert guessing.get_linestyle() == "--"


def test_curves_are_told_apart_by_marker_and_line_without_their_colour():
    many = [TEN[index % 10] for index in range(24)]
    *drawn, guessing = plotting.plot_roc_curves(many).axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in drawn}) == 24
    assert guessing.get_linestyle() not in {line.get_linestyle() for line in drawn}


def test_a_class_without_an_area_has_a_dash_in_the_legend_and_no_line():
    curves = roc_curves(np.array([0, 2, 0]), np.full((3, 3), 1 / 3), ["cat", "dog", "frog"])
    (axis,) = plotting.plot_roc_curves(curves).axes
    assert legend_texts(axis.get_legend())[:3] == ["cat  0.500", "dog  –", "frog  0.500"]
    assert len(axis.lines[1].get_xdata()) == 0


def test_a_legend_of_many_long_names_stays_inside():
    names = [f"a name of several words, number {index}" for index in range(24)]
    curves = [RocCurve(name, np.array([0, 1]), np.array([0, 1]), np.array([np.inf, 0]), 0.5) for name in names]
    figure = plotting.plot_roc_curves(curves, caption="long")
    figure.canvas.draw()
    box = figure.axes[0].get_legend().get_window_extent()
    width, height = figure.canvas.get_width_height()
    assert min(box.x0, box.y0) >= 0
    assert (box.x1 <= width, box.y1 <= height) == (True, True)
    assert figure.axes[0].get_window_extent().width > 0.4 * width


@pytest.mark.smoke
def test_accuracies_and_weights_of_a_sweep_are_drawn_over_the_blocks_in_their_order():
    rows = [{**row, "test_accuracy": row["val_accuracy"] - 0.1} for row in reversed(SWEEP)]
    figure = plotting.plot_unfreeze_sweep(rows)
    left, right = figure.axes
    np.testing.assert_allclose(lines(left)["validation"].get_data(), [[0, 1, 3], [0.5, 0.6, 0.8]])
    np.testing.assert_allclose(lines(left)["test"].get_data(), [[0, 1, 3], [0.4, 0.5, 0.7]])
    assert lines(left)["test"].get_linestyle() == "--"
    np.testing.assert_allclose(right.lines[0].get_data(), [[0, 1, 3], [0.5, 2.5, 6.5]])
    assert (left.get_ylabel(), right.get_ylabel()) == ("accuracy", "trainable parameters, thousands")
    assert legend_texts(figure.legends[0]) == ["validation", "test"]
    assert all(tick == int(tick) for axis in figure.axes for tick in axis.get_xticks())


@pytest.mark.parametrize(("count", "unit", "height"), [(3_500_000, ", millions", 3.5), (70, "", 70)])
def test_the_weights_of_a_sweep_have_a_unit_that_fits(count, unit, height):
    right = plotting.plot_unfreeze_sweep([{**SWEEP[0], "trainable_params": count}]).axes[1]
    assert right.get_ylabel() == f"trainable parameters{unit}"
    assert right.lines[0].get_ydata() == [height]


def test_the_results_of_a_sweep_are_drawn_as_they_are_and_say_where_it_started():
    row = SweepRow(1, "block1", 500, 900, 3, 0.1, 0.75, None)
    figure = plotting.plot_unfreeze_sweep(SweepResults((row,), "head", ()))
    assert {axis.get_xlabel() for axis in figure.axes} == {"unfrozen blocks, from the head"}
    assert list(lines(figure.axes[0])) == ["validation"]


def test_a_reliability_diagram_has_accuracies_confidences_and_numbers_of_images():
    upper, lower = plot_calibration_curve(CALIBRATION).axes
    used = [row for row in CALIBRATION.rows if row.images]
    points = lines(upper)["mean of the bin"]
    assert points.get_xdata().tolist() == [row.confidence for row in used]
    assert points.get_ydata().tolist() == [row.accuracy for row in used]
    assert [bar.get_height() for bar in lower.patches] == [row.images for row in CALIBRATION.rows]
    distances = [bar for bar in upper.patches if bar.get_hatch() and bar.get_width() < 0.5 and bar.get_height()]
    assert [abs(bar.get_height()) for bar in distances] == [
        pytest.approx(abs(row.accuracy - row.confidence)) for row in used if row.accuracy != row.confidence
    ]
    assert f"{CALIBRATION.expected_calibration_error:.3f}" in upper.get_title()


@pytest.mark.smoke
def test_each_layer_is_a_line_over_its_steps_in_all_three_panels():
    for axis, field in zip(
        plot_activation_statistics(STATISTICS).axes, ("means", "standard_deviations", "zero_shares"), strict=True
    ):
        assert list(lines(axis)) == [row.layer for row in STATISTICS]
        for line, row in zip(axis.lines, STATISTICS, strict=True):
            assert line.get_xdata().tolist() == row.steps.tolist()
            assert line.get_ydata().tolist() == getattr(row, field).tolist()


def test_the_colours_of_a_histogram_are_the_shares_of_each_step():
    uneven = layer_statistics("one", [0, 10, 40])
    figure = plot_activation_histograms([uneven])
    (mesh,) = figure.axes[0].collections
    rows, columns = np.nonzero(uneven.histogram_counts.T)
    shown = mesh.get_array()
    assert shown.shape[1] == 3
    shares = uneven.histogram_counts / 200
    assert shown[rows - rows.min(), columns].tolist() == shares.T[rows, columns].tolist()
    assert (~np.ma.getmaskarray(shown)).sum() == len(rows)  # what is empty has no colour
    edges = mesh.get_coordinates()[0, :, 0]
    assert edges.tolist() == [-5, 5, 25, 55]
    low, high = mesh.get_coordinates()[[0, -1], 0, 1]
    assert (low, high) == (uneven.histogram_edges[rows.min()], uneven.histogram_edges[rows.max() + 1])


def test_a_single_record_and_a_layer_of_nothing_finite_are_drawn():
    empty = layer_statistics("empty", [0])
    empty = LayerStatistics(
        "empty", empty.steps, *[np.array([np.nan])] * 3, 0 * empty.histogram_counts, np.arange(17)
    )
    for draw in (plot_activation_statistics, plot_activation_histograms):
        draw([layer_statistics("one", [5]), empty]).canvas.draw()
        draw([empty]).canvas.draw()


# ------------------------------------------------------------------------------------------------- bad input
GREY = np.zeros((2, 8, 8))


@pytest.mark.parametrize(
    ("call", "error", "parts"),
    [
        (
            lambda: plotting.plot_images(np.zeros((8, 8))),
            ValueError,
            ["images", "plot_images", "(8, 8)", "[None]"],
        ),
        (lambda: plotting.plot_images(np.zeros((32, 32, 3))), ValueError, ["(32, 32, 3)", "images[None]"]),
        (lambda: plotting.plot_images(np.zeros((2, 8, 8, 4))), ValueError, ["images", "(8, 8, 4)"]),
        (lambda: plotting.plot_images([]), ValueError, ["1 to 256 images", "0 images"]),
        (
            lambda: plotting.plot_images(np.zeros((300, 2, 2))),
            ValueError,
            ["1 to 256", "300 images", "images[:64]"],
        ),
        (lambda: plotting.plot_images(GREY + np.nan), ValueError, ["finite", "nan"]),
        (lambda: plotting.plot_images(GREY + np.inf), ValueError, ["finite", "inf"]),
        (lambda: plotting.plot_images(GREY + 128.0), ValueError, ["from 0 to 1", "128", "255"]),
        (lambda: plotting.plot_images(GREY - 0.5), ValueError, ["from 0 to 1", "-0.5"]),
        (lambda: plotting.plot_images(GREY.astype("int64")), TypeError, ["uint8", "int64", "astype"]),
        (
            lambda: plotting.plot_images(GREY, titles=["one"]),
            ValueError,
            ["titles", "plot_images", "2", "['one']"],
        ),
        (lambda: plotting.plot_images(GREY, titles="ab"), ValueError, ["titles", "'ab'"]),
        (lambda: plotting.plot_images(GREY, columns=0), ValueError, ["columns", "plot_images", "at least 1", "0"]),
        (lambda: plotting.plot_images(GREY, columns=2.0), TypeError, ["columns", "whole number", "2.0"]),
        (
            lambda: plotting.plot_heatmaps(GREY, GREY[:1]),
            ValueError,
            ["`heatmaps` of `plot_heatmaps`", "one map", "[(8, 8)] for images [(8, 8), (8, 8)]"],
        ),
        (
            lambda: plotting.plot_heatmaps(GREY, GREY[:, :4]),
            ValueError,
            ["heatmaps", "of its size", "(4, 8)"],
        ),
        (lambda: plotting.plot_heatmaps(GREY, GREY + 2.0), ValueError, ["`heatmaps`", "from 0 to 1", "2"]),
        (lambda: plotting.plot_heatmaps(GREY, GREY + np.nan), ValueError, ["`heatmaps`", "finite", "nan"]),
        (lambda: plotting.plot_heatmaps(GREY + 9.0, GREY), ValueError, ["`images` of `plot_heatmaps`", "9"]),
        (lambda: plotting.plot_heatmaps(GREY, GREY, titles=["a"]), ValueError, ["titles", "2 texts"]),
        (lambda: plotting.plot_heatmaps(GREY, GREY, columns=0), ValueError, ["columns", "plot_heatmaps"]),
        (lambda: plotting.plot_history([1, 2]), TypeError, ["history", "plot_history", "[1, 2]"]),
        (lambda: plotting.plot_history({}), ValueError, ["history", "at least one epoch", "{}"]),
        (lambda: plotting.plot_history({"loss": []}), ValueError, ["at least one epoch", "'loss': 0"]),
        (lambda: plotting.plot_history({"loss": 1.0}), TypeError, ["history", "1.0"]),
        (lambda: plotting.plot_history({"loss": [1, 2], "val_loss": [1]}), ValueError, ["'val_loss': 1"]),
        (lambda: plotting.plot_history({"a": EPOCHS, "b": [1]}), TypeError, ["'b': [1]"]),
        (lambda: plotting.plot_history({"a": EPOCHS, "b": {"loss": []}}), ValueError, ["'b': {'loss': 0}"]),
        (lambda: plotting.plot_history({"auc": [1.0]}), ValueError, ["'loss' or 'accuracy'", "auc", "metrics"]),
        (lambda: plotting.plot_history(EPOCHS, metrics=["top5"]), ValueError, ["metrics", "'accuracy'", "top5"]),
        (lambda: plotting.plot_history(EPOCHS, metrics="loss"), ValueError, ["metrics", "'loss'"]),
        (lambda: plotting.plot_confusion_matrix(np.ones((2, 3)), "ab"), ValueError, ["square", "(2, 3)"]),
        (lambda: plotting.plot_confusion_matrix([[1, -1], [0, 1]], ["a", "b"]), ValueError, ["negative", "-1"]),
        (lambda: plotting.plot_confusion_matrix([[1, np.nan], [0, 1]], ["a", "b"]), ValueError, ["finite", "nan"]),
        (lambda: plotting.plot_confusion_matrix([["1"]], ["a"]), ValueError, ["finite numbers"]),
        (
            lambda: plotting.plot_confusion_matrix(np.eye(2), ["a"]),
            ValueError,
            ["class_names", "2 texts", "['a']"],
        ),
        (lambda: plotting.plot_confusion_matrix(np.eye(2), None), ValueError, ["class_names", "None"]),
        (lambda: plotting.plot_filters(np.ones((5, 5, 6))), ValueError, ["model_or_weights", "(5, 5, 6)"]),
        (lambda: plotting.plot_filters(np.ones((5, 5, 16, 6))), ValueError, ["1 or 3", "(5, 5, 16, 6)"]),
        (lambda: plotting.plot_filters(np.full((3, 3, 1, 1), np.nan)), ValueError, ["finite floats"]),
        (lambda: plotting.plot_filters(keras.layers.Dense(2)), ValueError, ["convolution", "Dense"]),
        (
            lambda: plotting.plot_feature_maps(np.ones((1, 8, 8, 4))),
            ValueError,
            ["feature_maps", "(1, 8, 8, 4)", "[0]"],
        ),
        (lambda: plotting.plot_feature_maps(np.ones((2, 2, 512))), ValueError, ["1 to 256 maps", "[..., :64]"]),
        (lambda: plotting.plot_feature_maps(np.full((2, 2, 1), np.inf)), ValueError, ["feature_maps", "finite"]),
        (lambda: plotting.plot_feature_maps(np.ones((2, 2, 3)), titles=["a"]), ValueError, ["titles", "3 texts"]),
        (
            lambda: plotting.plot_architecture(build_lenet5()),
            TypeError,
            ["table", "plot_architecture", "layer_table"],
        ),
        (
            lambda: plotting.plot_architecture(
                layer_table(keras.Sequential([keras.Input((2,)), keras.layers.ReLU()], name="flat"))
            ),
            ValueError,
            ["table", "writes maps", "flat"],
        ),
        (lambda: plotting.plot_model_costs([]), ValueError, ["records", "plot_model_costs", "one or more"]),
        (
            lambda: plotting.plot_model_costs([{"params": 1}]),
            TypeError,
            ["records", "architecture.compare_models"],
        ),
        (lambda: plotting.plot_roc_curves([]), ValueError, ["curves", "plot_roc_curves", "1 to 24", "0 curves"]),
        (lambda: plotting.plot_roc_curves(TEN * 3), ValueError, ["30 curves", "Draw some of them"]),
        (lambda: plotting.plot_roc_curves(TEN[0]), TypeError, ["curves", "evaluation.roc_curves"]),
        (lambda: plotting.plot_roc_curves([0.5]), TypeError, ["curves", "[0.5]"]),
        (
            lambda: plotting.plot_unfreeze_sweep([]),
            ValueError,
            ["results", "plot_unfreeze_sweep", "one or more rows"],
        ),
        (lambda: plotting.plot_unfreeze_sweep(SWEEP[0]), TypeError, ["results", "transfer.unfreeze_sweep"]),
        (lambda: plotting.plot_unfreeze_sweep([{"unfrozen_blocks": 1}]), ValueError, ["`trainable_params`"]),
        (
            lambda: plotting.plot_unfreeze_sweep([{"unfrozen_blocks": 1, "trainable_params": 5}]),
            ValueError,
            ["`val_accuracy` or `test_accuracy`", "1 rows"],
        ),
        (
            lambda: plot_calibration_curve(0.1),
            TypeError,
            ["result", "plot_calibration_curve", "evaluation.calibration", "0.1"],
        ),
        (lambda: plot_calibration_curve(STATISTICS), TypeError, ["result", "plot_calibration_curve"]),
        (
            lambda: plot_activation_statistics([]),
            ValueError,
            ["records", "plot_activation_statistics", "1 to 24", "0 layers", "Train"],
        ),
        (
            lambda: plot_activation_histograms(STATISTICS * 5),
            ValueError,
            ["plot_activation_histograms", "25 layers", "[::2]"],
        ),
        (lambda: plot_activation_statistics({"a": 1}), TypeError, ["records", "ActivationStatistics.records"]),
        (lambda: plot_activation_histograms([1]), TypeError, ["records", "[1]"]),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(call, error, parts):
    with pytest.raises(error) as caught:
        call()
    assert all(part in str(caught.value) for part in parts), caught.value
    assert plt.get_fignums() == []


# ------------------------------------------------------------------------------------------------ the latent space
def test_no_two_of_twenty_classes_look_alike_in_a_map():
    figure = plotting.plot_latent_map(np.eye(2), [0, 19], [f"class {number}" for number in range(20)])
    looks = {(handle.get_color(), handle.get_marker()) for handle in figure.legends[0].legend_handles}
    assert len(looks) == 20


def test_the_name_of_a_class_stands_at_the_median_of_its_points():
    points = np.array([[0.0, 0], [1, 2], [2, 9], [5, 5]])
    named = plotting.plot_latent_map(points, [0, 0, 0, 1], ["cat", "dog"]).axes[0].texts
    assert [(text.get_text(), *text.xy) for text in named] == [("cat", 1, 2), ("dog", 5, 5)]
    assert not plotting.plot_latent_map(points, [0, 0, 0, 1], ["cat", "dog"], centroids=False).axes[0].texts


def test_a_mosaic_of_points_on_a_grid_shows_each_image_at_its_place():
    rows, columns = np.mgrid[:4, :5]
    order = np.random.default_rng(0).permutation(20)
    points = np.stack([columns.ravel(), -rows.ravel()], axis=1)[order]  # y upwards
    images = np.broadcast_to(np.arange(20, dtype="uint8")[order, None, None], (20, 3, 3))
    mosaic = pictures(plotting.plot_image_mosaic(images, points, columns=5))[0]
    assert mosaic.shape == (12, 15, 3)
    assert mosaic[1::3, 1::3, 0].tolist() == np.arange(20).reshape(4, 5).tolist()


def test_a_mosaic_shows_every_image_once_even_where_all_lie_at_one_place():
    images = np.broadcast_to(np.arange(17, dtype="uint8")[:, None, None], (17, 2, 2))
    mosaic = pictures(plotting.plot_image_mosaic(images, np.zeros((17, 2))))[0]
    assert sorted(mosaic[::2, ::2, 0].ravel()) == [*range(17), *[255] * 3]


def test_hits_and_misses_differ_in_sign_and_line_not_only_in_colour():
    figure = plotting.plot_retrieval(
        np.zeros((1, 4, 4)),
        np.zeros((1, 3, 4, 4)),
        labels=[1],
        neighbour_labels=[[1, 0, 1]],
        class_names=["a", "b"],
    )
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts if text.get_text() in "✓✗"] == ["✓", "✗", "✓"]
    first, second, third = (frame.get_linestyle() for frame in axis.patches)
    assert first == third != second
    assert [text.get_text() for text in axis.texts if text.get_text() in "ab"] == ["b", "b", "a", "b"]


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


TWO = np.eye(2)
SMALL = np.zeros((2, 8, 8), "uint8")


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (lambda: plotting.plot_latent_map(np.zeros((2, 3)), [0, 0], ["cat"]), ValueError, r"\(n, 2\)"),
        (lambda: plotting.plot_latent_map(TWO * np.nan, [0, 0], ["cat"]), ValueError, "finite numbers"),
        (lambda: plotting.plot_latent_map(TWO, [0, 0, 0], ["cat"]), ValueError, "2 whole numbers"),
        (lambda: plotting.plot_latent_map(TWO, [0, 1], ["cat"]), ValueError, "places in `class_names`"),
        (lambda: plotting.plot_latent_map(TWO, [0, 1], ["cat"] * 21), ValueError, "1 to 20 texts"),
        (lambda: plotting.plot_image_mosaic(SMALL[:1], TWO), ValueError, "one image for each of the 2 points"),
        (lambda: plotting.plot_image_mosaic(SMALL + 2.0, TWO), ValueError, "from 0 to 1"),
        (lambda: plotting.plot_image_mosaic(SMALL.astype("int64"), TWO), TypeError, "`uint8` or floats"),
        (lambda: plotting.plot_image_mosaic(SMALL, TWO, columns=0), ValueError, "at least 1"),
        (lambda: plotting.plot_retrieval(SMALL, SMALL), ValueError, "`neighbours` of `plot_retrieval`"),
        (lambda: plotting.plot_retrieval(SMALL, SMALL[:, None], labels=[0, 0]), ValueError, "given together"),
        (lambda: plotting.plot_retrieval(SMALL, SMALL[:, None], distances=TWO), ValueError, "`distances`"),
        (lambda: plotting.plot_interactive_map(TWO, SMALL[:1], [0, 0], ["cat"]), ValueError, "one image for each"),
        (
            lambda: plotting.plot_interactive_map(TWO, SMALL[..., None, None], [0, 0], ["cat"]),
            ValueError,
            "an array",
        ),
    ],
)
def test_bad_input_of_the_latent_figures_is_refused_by_name(draw, error, text):
    with pytest.raises(error, match=text):
        draw()
