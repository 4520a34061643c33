"""Designs compared as an engineer would: each over several seeds, with spread, and a verdict on each claim."""

from kerascv_course.experiment.compare import compare
from kerascv_course.experiment.results import ExperimentResults, ExperimentRow, ExperimentRun, Verdict, verdict

__all__ = ["ExperimentResults", "ExperimentRow", "ExperimentRun", "Verdict", "compare", "verdict"]
