"""`kerascv-course grade`: a class's notebooks judged, with marks, feedback and a page for the teacher."""

import argparse
import sys
from pathlib import Path

from kerascv_course._validation import check_int
from kerascv_course.cli.status import INTERRUPTED, OK, USAGE


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `grade`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    grade = commands.add_parser("grade", help="judge the notebooks of a class; leaves marks, feedback and a page")
    add, handed_in = grade.add_argument, "the folder or .zip that the learning platform made, nested as it is"
    add("submissions", type=Path, metavar="SUBMISSIONS", help=handed_in)
    add("--out", type=Path, required=True, metavar="FOLDER", help="where to write; made if need be")
    add("--points", type=Path, metavar="FILE", help="points.toml: the points of each exercise (default: 1)")
    add("--jobs", type=int, metavar="N", help="notebooks at a time (default: one for each processor)")
    add("--seconds", type=int, default=120, metavar="N", help="an exercise may take so long (default: 120)")
    alone = "run the students' code without a container: it can then do all that you can"
    add("--trust", action="store_true", help=alone)
    grade.set_defaults(command=_grade)


def _grade(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from kerascv_course.grading import Limits, grade, read_points, write_marks, write_pages

    try:
        jobs = -1 if options.jobs is None else check_int("grade", "jobs", options.jobs, 1)
        limits = Limits(seconds=check_int("grade", "seconds", options.seconds, 1))
        points = read_points(options.points)
        with tqdm(desc="judged", unit=" notebooks", total=0) as bar:

            def show(done: int, total: int) -> None:
                bar.total, bar.n = total, done
                bar.refresh()

            words = {"jobs": jobs, "limits": limits, "trust": options.trust, "show": show}
            result = grade(options.submissions, options.out, **words)
    except KeyboardInterrupt:
        print("\nInterrupted. What was judged is kept: the same command goes on there.", file=sys.stderr)
        return INTERRUPTED
    except (OSError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE
    tables, page = write_marks(result, options.out, points), write_pages(result, options.out, points)
    print(f"{len(result.notebooks)} notebooks judged, {result.judged_now} of them now.")
    lines = [f"{problem.where}: {problem.why}" for problem in result.problems]
    print(*lines, *(f"Marks:    {path}" for path in tables), f"Class:    {page}", sep="\n")
    print(f"Feedback: {page.parent / 'feedback'}")
    return OK
