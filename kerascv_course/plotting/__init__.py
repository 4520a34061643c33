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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curves": ["plot_history", "plot_learning_rate_finder"],
        "evaluation": ["plot_calibration_curve", "plot_confusion_matrix", "plot_roc_curves"],
        "experiments": ["plot_experiment"],
        "images": ["plot_feature_maps", "plot_filters", "plot_heatmaps", "plot_image_table", "plot_images"],
        "interactive_map": ["InteractiveMap", "plot_interactive_map"],
        "latent": ["plot_latent_map"],
        "networks": ["plot_architecture"],
    },
)
