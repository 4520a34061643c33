"""The course's random search with KerasTuner: resumable, in one process or in several (extra `tuning`)."""

from kerascv_course.tuning.search import SearchResults, SearchTrial, random_search
from kerascv_course.tuning.space import COURSE_SPACE, make_optimizer

__all__ = ["COURSE_SPACE", "SearchResults", "SearchTrial", "make_optimizer", "random_search"]
