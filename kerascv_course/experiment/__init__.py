"""Designs compared as an engineer would: each over several seeds, with spread, and a verdict on each claim."""

from kerascv_course.experiment.compare import compare
from kerascv_course.experiment.records import ExperimentResults, ExperimentRow, ExperimentRun
from kerascv_course.experiment.verdict import Verdict, verdict

__all__ = ["ExperimentResults", "ExperimentRow", "ExperimentRun", "Verdict", "compare", "verdict"]
