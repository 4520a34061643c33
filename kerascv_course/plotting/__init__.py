"""Figures of the course: arrays and records in, a Matplotlib figure out.

Each function returns the `matplotlib.figure.Figure` that it drew; nothing is printed or written. The text is 9
points high or higher, the width is 8 inches or less (a confusion matrix of many classes is wider, so that its
numbers stay readable), and no figure needs red to be told from green. Colour maps, colours and sizes of all
figures stand in `plotting/style.py`.

Where the figure appears:

* In a notebook (IPython's inline backend) a cell whose last line is the call shows the figure exactly once: the
  function closes the figure before it returns it, because the backend would show an open figure a second time.
  In the middle of a cell write `IPython.display.display(figure)`.
* In a script the figure is one of pyplot's: call `matplotlib.pyplot.show()` after the last one.
* `figure.savefig("name.png")` works in both.

The user's global settings (`matplotlib.rcParams`) are left alone.
"""

from kerascv_course.plotting.classic import plot_keypoints, plot_visual_words, plot_word_histogram
from kerascv_course.plotting.curves import plot_history, plot_learning_rate_finder, plot_schedule
from kerascv_course.plotting.evaluation import plot_calibration_curve, plot_confusion_matrix, plot_roc_curves
from kerascv_course.plotting.experiments import plot_experiment
from kerascv_course.plotting.images import (
    plot_feature_maps,
    plot_filters,
    plot_heatmaps,
    plot_image_table,
    plot_images,
)
from kerascv_course.plotting.interactive_map import InteractiveMap, plot_interactive_map
from kerascv_course.plotting.latent import plot_image_mosaic, plot_latent_map, plot_retrieval
from kerascv_course.plotting.networks import plot_architecture
from kerascv_course.plotting.statistics import plot_activation_histograms, plot_activation_statistics

__all__ = [
    "InteractiveMap",
    "plot_activation_histograms",
    "plot_activation_statistics",
    "plot_architecture",
    "plot_calibration_curve",
    "plot_confusion_matrix",
    "plot_experiment",
    "plot_feature_maps",
    "plot_filters",
    "plot_heatmaps",
    "plot_history",
    "plot_image_mosaic",
    "plot_image_table",
    "plot_images",
    "plot_interactive_map",
    "plot_keypoints",
    "plot_latent_map",
    "plot_learning_rate_finder",
    "plot_retrieval",
    "plot_roc_curves",
    "plot_schedule",
    "plot_visual_words",
    "plot_word_histogram",
]
