"""`kerascv-course grade`: a class's notebooks judged, with marks, feedback and a page for the teacher."""

import argparse
import sys
from pathlib import Path

from kerascv_course._validation import input_error
from kerascv_course.cli.status import INTERRUPTED, OK, USAGE


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `grade`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    grade = commands.add_parser("grade", help="judge the notebooks of a class; leaves marks, feedback and a page")
    handed_in = "the folder or .zip that the learning platform made, nested as it is"
    grade.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help=handed_in)
    grade.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write; made if need be")
    worth = "points.toml: the points of each exercise (default: 1)"
    grade.add_argument("--points", type=Path, metavar="FILE", help=worth)
    at_a_time = "how many notebooks at a time (default: one for each processor)"
    grade.add_argument("--jobs", type=int, default=-1, metavar="N", help=at_a_time)
    allowed = "how long an exercise may take (default: 120)"
    grade.add_argument("--seconds", type=int, default=120, metavar="N", help=allowed)
    alone = "run the students' code without a container: it can then do all that you can"
    grade.add_argument("--trust", action="store_true", help=alone)
    grade.set_defaults(command=_grade)


def _grade(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from kerascv_course.grading.contain import Limits
    from kerascv_course.grading.judging import grade
    from kerascv_course.grading.marks import read_points, write_marks
    from kerascv_course.grading.pages import write_pages

    try:
        for argument, value in (("--jobs", options.jobs), ("--seconds", options.seconds)):
            if value < 1 and (argument, value) != ("--jobs", -1):
                raise input_error("grade", argument, "1 or more", value)
        points = read_points(options.points)
        with tqdm(desc="judged", unit=" notebooks", total=0) as bar:

            def show(done: int, total: int) -> None:
                bar.total, bar.n = total, done
                bar.refresh()

            limits = Limits(seconds=options.seconds)
            result = grade(
                options.submissions, options.out, jobs=options.jobs, limits=limits, trust=options.trust, show=show
            )
    except KeyboardInterrupt:
        print("\nInterrupted. What was judged is kept: the same command goes on there.", file=sys.stderr)
        return INTERRUPTED
    except (OSError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE
    tables = write_marks(result, options.out, points)
    page = write_pages(result, options.out, points)
    print(f"{len(result.notebooks)} notebooks judged, {result.judged_now} of them now.")
    for problem in result.problems:
        print(f"{problem.where}: {problem.why}")
    print(
        *(f"Marks:    {path}" for path in tables),
        f"Class:    {page}",
        f"Feedback: {page.parent / 'feedback'}",
        sep="\n",
    )
    return OK
