"""`kerascv-course build`: the notebooks, generated from their sources."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from kerascv_course.cli.run import execute
from kerascv_course.cli.status import FAILED, OK, USAGE
from kerascv_course.datasets.cache import cache_folder, data_folder
from kerascv_course.runtime import PROFILES


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `build`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    build = commands.add_parser("build", help="generate the notebooks from their sources (in the repository)")
    build.add_argument("--check", action="store_true", help="change nothing; say which generated files are stale")
    run = "run the solved notebooks, all or those named, and keep their outputs"
    build.add_argument("--execute", nargs="*", metavar="NOTEBOOK", help=run)
    to_hand_out = "write only a set to hand out, with .solution() withheld"
    build.add_argument("--no-solutions", type=Path, metavar="DIR", help=to_hand_out)
    carried = "write only a set to hand out whose notebooks carry the package, and need no address"
    build.add_argument("--embed-wheel", type=Path, metavar="DIR", help=carried)
    led = "where the badges of a set to hand out lead: the folder at GitHub where you put it (default: no badges)"
    build.add_argument("--badge-base", metavar="URL", help=led)
    known = "from whose releases Colab installs the package (default: pyproject.toml, GITHUB_REPOSITORY, origin)"
    build.add_argument("--repository", metavar="URL", help=known)
    build.add_argument("--profile", choices=PROFILES, help="the profile of --execute")
    where = "the notebooks folder (default: notebooks)"
    build.add_argument("--folder", type=Path, default=Path("notebooks"), metavar="DIR", help=where)
    build.set_defaults(command=_build)


def _build(options: argparse.Namespace) -> int:
    from kerascv_course.notebooks import build as pages
    from kerascv_course.notebooks.release import badge_base, build_wheel, find_release
    from kerascv_course.notebooks.source import find_source

    sets = {folder for folder in (options.no_solutions, options.embed_wheel) if folder}
    if sets and (options.check or options.execute is not None):
        what = "`--embed-wheel` and `--no-solutions`"
        print(f"{what} cannot be combined with `--check` or `--execute`.", file=sys.stderr)
        return USAGE
    if options.badge_base and not sets:
        print("`--badge-base` needs `--no-solutions` or `--embed-wheel`.", file=sys.stderr)
        return USAGE
    root = options.folder.absolute().parent
    try:
        release = find_release(root, options.repository)
        badge = badge_base(options.badge_base) if options.badge_base else ""
        for folder in sorted(sets):
            wheel = build_wheel(root) if folder == options.embed_wheel else b""
            handed_out = replace(release, badge=badge, wheel=wheel)
            solutions = folder != options.no_solutions
            print(*pages.write_set(options.folder, folder, handed_out, solutions=solutions), sep="\n")
        if sets:
            return OK
        files = pages.generated_files(options.folder, release)
        chosen = {find_source(name, options.folder / "source") for name in options.execute or ()}
    except (OSError, ValueError) as error:  # no source, one that breaks a rule of the format, or no place to write
        print(error, file=sys.stderr)
        return FAILED
    if options.check:
        stale = pages.stale_files(options.folder)
        for path in stale:
            print(f"stale: {path}")
        advice = "Run `kerascv-course build`, and delete those that have no source any more."
        print(advice if stale else "All generated notebooks are up to date.")
        return FAILED if stale else OK
    without_outputs = pages.write_files(options.folder, release)
    print(f"Colab installs from {release.repository or 'no address: `--repository` names one'}.")
    if options.execute is None:
        for path in without_outputs:
            print(f"{path} has no outputs now: `kerascv-course build --execute` runs it.")
        return OK
    names = {"$KERASCV_COURSE_CACHE": cache_folder(), "$KERASCV_COURSE_DATA": data_folder()}
    names |= {"$VIRTUAL_ENV": Path(sys.prefix), ".": Path.cwd(), "~": Path.home()}
    for path, (source, notebook) in files.items():
        if path.parent.name == "solutions" and (source in chosen or not chosen):
            print(f"\n{source.name}")
            done = execute(notebook, Path("kerascv-course-runs") / "build", source.name, options.profile)
            if done.error:
                print(done.error, file=sys.stderr)
                return FAILED
            pages.photographs_as_jpeg(notebook)
            pages.without_folders(notebook, names)
            pages.write_notebook(notebook, path)
    return OK
