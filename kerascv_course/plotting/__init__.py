"""Figures of the course: arrays and records in, a Matplotlib figure out.

Each function returns the `matplotlib.figure.Figure` that it drew; nothing is printed or written. The text is 9
points high or higher, the width is 9 inches or less (a confusion matrix of more than 14 classes is wider, so that
its numbers stay readable), and no figure needs red to be told from green.

Where the figure appears:

* In a notebook (IPython's inline backend) a cell whose last line is the call shows the figure exactly once: the
  function closes the figure before it returns it, because the backend would show an open figure a second time.
  In the middle of a cell write `IPython.display.display(figure)`.
* In a script the figure is one of pyplot's: call `matplotlib.pyplot.show()` after the last one.
* `figure.savefig("name.png")` works in both.

The user's global settings (`matplotlib.rcParams`) are left alone.
"""

from kerascv_course.plotting.classic import keypoints, visual_words, word_histogram
from kerascv_course.plotting.curves import confusion_matrix, history_curves
from kerascv_course.plotting.evaluation import calibration_plot, roc_plot, sweep_plot
from kerascv_course.plotting.experiments import comparison_plot, search_plot
from kerascv_course.plotting.heatmaps import heatmap_overlays
from kerascv_course.plotting.images import activations, first_layer_filters, image_grid, image_table
from kerascv_course.plotting.interactive_map import InteractiveMap, interactive_map
from kerascv_course.plotting.latent import image_mosaic, latent_map, retrieval_rows
from kerascv_course.plotting.networks import plot_architecture, plot_comparison
from kerascv_course.plotting.schedules import learning_rate_plot, schedule_plot
from kerascv_course.plotting.statistics import activation_curves, activation_histograms

__all__ = [
    "InteractiveMap",
    "activation_curves",
    "activation_histograms",
    "activations",
    "calibration_plot",
    "comparison_plot",
    "confusion_matrix",
    "first_layer_filters",
    "heatmap_overlays",
    "history_curves",
    "image_grid",
    "image_mosaic",
    "image_table",
    "interactive_map",
    "keypoints",
    "latent_map",
    "learning_rate_plot",
    "plot_architecture",
    "plot_comparison",
    "retrieval_rows",
    "roc_plot",
    "schedule_plot",
    "search_plot",
    "sweep_plot",
    "visual_words",
    "word_histogram",
]
