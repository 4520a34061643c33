"""Images as figures take them, and the grid in which many are drawn."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerascv_course._validation import as_array, as_numbers, input_error
from kerascv_course.plotting import style
from kerascv_course.plotting.style import wrap

MOST = 256  # each image of a grid is an axis of its own; many more take minutes to draw


def draw_grid(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int,
    caption: str | None,
    *,
    scale: tuple[str, float, float] | None = None,
    bar_label: str = "",
    row_names: Sequence[str] = (),
) -> Figure:
    """Draw pictures of any size in rows; `scale` is colour map, lowest, highest value of grey ones."""
    color_map, low, high = scale or (style.IMAGE_COLOR_MAP, 0.0, 1.0)
    columns = min(columns, len(pictures))
    margin, bar = 1.15 if row_names else 0.0, 0.95 if bar_label else 0.0  # left for names, right for a colour bar
    letters = min(10, max((len(word) for title in titles for word in title.split()), default=0))
    # Neighbouring titles of one long word, such as automobile, must not touch.
    cell = max(0.068 * letters + 0.06, min((style.WIDTH - margin - bar) / columns, 3.6))
    width, side = margin + cell * columns + bar, cell - style.GAP
    labels = [wrap(title, side * style.TEXT_SIZE / style.TITLE_SIZE) for title in titles]
    # The places are computed here: Matplotlib's own layout takes seconds for 64 images.
    tops, heights = [], []  # of the images of each row, in inches from above
    height = style.LINE * (wrap(caption, width).count("\n") + 1.4) if caption else 0.0
    for start in range(0, len(pictures), columns):
        own = slice(start, start + columns)
        tops.append(height + style.LINE * max(label.count("\n") + bool(label) for label in labels[own]))
        heights.append(side * min(3, max(picture.shape[0] / picture.shape[1] for picture in pictures[own])))
        height = tops[-1] + heights[-1] + style.GAP
    figure = plt.figure(figsize=(width, height))
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        row, column = divmod(index, columns)
        left, bottom = margin + column * cell + style.GAP / 2, height - tops[row] - heights[row]
        place = (left / width, bottom / height, side / width, heights[row] / height)
        axis = figure.add_axes(place, xticks=[], yticks=[], anchor="N")
        axis.set_title(label, fontsize=style.TITLE_SIZE, pad=3)
        axis.spines[:].set_color(style.PALE)
        # Small images show their pixels; large ones are averaged down, so that no false pattern appears.
        smoothing = "nearest" if max(picture.shape[:2]) <= 64 else "auto"
        image = axis.imshow(picture, cmap=color_map, vmin=low, vmax=high, interpolation=smoothing)
    for name, top, tall in zip(row_names, tops, heights, strict=False):
        x, y = (margin - style.GAP) / width, 1 - (top + tall / 2) / height
        figure.text(x, y, wrap(name, margin - 2 * style.GAP), ha="right", va="center")
    if bar_label:
        tall = min(height - tops[0] - 2 * style.GAP, 3.0)
        place = ((width - 0.87) / width, 1 - (tops[0] + tall) / height, 0.12 / width, tall / height)
        figure.colorbar(image, cax=figure.add_axes(place), label=bar_label)
    if caption:
        figure.suptitle(wrap(caption, width), y=1 - 0.04 / height, verticalalignment="top")
    return figure


def check_images(function: str, argument: str, images: Any, most: int = MOST) -> list[np.ndarray]:
    """Return images as floats (h, w) and (h, w, 3) from 0 to 1, or raise; they need not be of one size."""
    rule = "an array (n, h, w), (n, h, w, 1) or (n, h, w, 3), or a list of single images"
    if not isinstance(images, list | tuple):
        images = as_array(function, argument, images, rule)
        # An array (h, w, 3) is one colour image, not h images that are 3 pixels wide.
        single = images.ndim == 3 and images.shape[2] == 3 and images.shape[1] > 3
        if single or images.ndim not in (3, 4):
            raise input_error(function, argument, rule, images, "Show a single image with `images[None]`.")
    if not 1 <= len(images) <= most:
        way_out = "Take some of them, for example `images[:64]`."
        raise input_error(function, argument, f"1 to {most} images", f"{len(images)} images", way_out)
    pictures = []
    for given in images:
        image = as_array(function, argument, given, rule)
        image = image.astype("float64") if image.dtype.kind == "b" else image
        if image.ndim not in (2, 3) or image.size == 0 or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise input_error(function, argument, rule, image)
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            way_out = "Convert values from 0 to 255 with `images.astype('uint8')`."
            raise input_error(function, argument, "`uint8` or floats", image, way_out, TypeError)
        low, high = float(image.min()), float(image.max())  # NaN where one of the values is NaN
        tolerance = 1e-5  # resizing may leave 0..1 by a rounding error
        if image.dtype.kind == "f" and not (low >= -tolerance and high <= 1 + tolerance):
            way_out = "Divide pixel values by 255; draw the output of a layer with `plot_feature_maps`."
            received = f"floats from {low:.6g} to {high:.6g}"
            raise input_error(function, argument, "finite floats from 0 to 1", received, way_out)
        scaled = image / 255 if image.dtype == np.uint8 else np.clip(image.astype("float64"), 0, 1)
        pictures.append(scaled[..., 0] if image.ndim == 3 and image.shape[2] == 1 else scaled)
    return pictures


def check_points(function: str, points: Any, most: int) -> np.ndarray:
    """Return points as floats (n, 2), or raise."""
    rule = f"an array (n, 2) of 1 to {most:,} points"
    places = as_numbers(function, "points", points, rule)
    if places.ndim != 2 or places.shape[1] != 2 or not 1 <= len(places) <= most:
        raise input_error(function, "points", rule, points, "Of too many take some with `[::10]`.")
    return places.astype("float64")
