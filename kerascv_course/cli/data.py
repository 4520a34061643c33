"""`kerascv-course data list | fetch | verify | bundle | serve`: the data files."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerascv_course.cli.status import FAILED, OK, USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerascv_course.datasets.bundle import BundleFile


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `data` and its sub-commands.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    data = commands.add_parser("data", help="the data files: fetch them once, check them, hand them to a class")
    actions = data.add_subparsers(required=True, metavar="ACTION")

    actions.add_parser("list", help="what is known, where it is, how large").set_defaults(command=_list)

    fetch = actions.add_parser("fetch", help="download a file, or go on with a download that broke off")
    fetch.add_argument("name", metavar="NAME", help="cifar10; or weights: all that a mirror has, for Keras")
    fetch.set_defaults(command=_fetch)

    verify = actions.add_parser("verify", help="compare what is at hand with its checksums")
    verify.add_argument("folder", nargs="?", metavar="DIR", help="a bundle (default: the files of this machine)")
    verify.set_defaults(command=_verify)

    bundle = actions.add_parser("bundle", help="copy data files, weights and checksums into one folder")
    bundle.add_argument("folder", metavar="DIR", help="where to; it is made if need be")
    bundle.set_defaults(command=_bundle)

    serve = actions.add_parser("serve", help="serve a bundle to a class on the local network, read-only")
    serve.add_argument("folder", metavar="DIR", help="a folder that `data bundle` filled, or a copy of it")
    serve.add_argument("--host", default="0.0.0.0", help="the address to listen at (default: all of this machine)")
    serve.add_argument("--port", type=int, default=8000, help="(default: 8000; 0 takes a free one)")
    serve.set_defaults(command=_serve)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _list(options: argparse.Namespace) -> int:
    from kerascv_course.datasets import find_cifar10
    from kerascv_course.datasets.bundle import WEIGHT_FOLDER, find_weights
    from kerascv_course.datasets.catalogue import REMOTE_FILES, find_copies

    for name, remote in REMOTE_FILES.items():
        print(f"{name}: {remote.title}\n  {remote.file_name}, {_megabytes(remote.size)}, from {remote.address}")
        path = next(find_copies(name), None)
        if path is not None:
            print(f"  At hand: {path}")
            continue
        print(f"  The file is not at hand: kerascv-course data fetch {name}")
        try:
            other = find_cifar10() if name == "cifar10" else None
        except FileNotFoundError as error:
            print(f"  {error}")
        else:
            if other is not None:
                print(f"  At hand in another form, which `load_cifar10` reads: {other}")
    weights = find_weights()
    print(
        f"weights in Keras' cache: {'' if weights else 'none; from a mirror: kerascv-course data fetch weights'}"
    )
    for path in weights:
        print(f"  {path}, {_megabytes(path.stat().st_size)}")
    setting = os.environ.get("KERASCV_COURSE_DATA")
    for path in sorted(Path(setting).expanduser().glob(f"{WEIGHT_FOLDER}/*.h5")) if setting else ():
        print(f"weights in KERASCV_COURSE_DATA: {path}, {_megabytes(path.stat().st_size)}")
    return OK


def _fetch(options: argparse.Namespace) -> int:
    from kerascv_course.datasets.catalogue import REMOTE_FILES, ProgressBar, fetch, find_copies, is_right

    try:
        if options.name == "weights":
            return _fetch_weights()
        if options.name in REMOTE_FILES:
            for path in find_copies(options.name):
                if is_right(options.name, path):
                    print(f"At hand already, with the right checksum: {path}")
                    return OK
        with ProgressBar(options.name) as bar:
            path = fetch(options.name, show=bar)
    except (OSError, ValueError) as error:
        return _report(error)
    print(f"Complete, with the right checksum: {path}")
    return OK


def _fetch_weights() -> int:
    from kerascv_course.datasets.bundle import fetch_weights, list_mirrored_weights
    from kerascv_course.datasets.catalogue import ProgressBar

    for weights in list_mirrored_weights():
        with ProgressBar(weights.file_name) as bar:
            path = fetch_weights(weights, show=bar)
        print(f"Complete, with the checksum of the mirror's list: {path}")
    return OK


def _verify(options: argparse.Namespace) -> int:
    from kerascv_course.datasets.bundle import read_bundle
    from kerascv_course.datasets.catalogue import REMOTE_FILES, find_copies, is_right

    if options.folder is not None:
        try:
            _print_files(read_bundle(options.folder))
        except (OSError, ValueError) as error:
            return _report(error)
        print("All checksums are right.")
        return OK
    copies = [(name, path) for name in REMOTE_FILES for path in find_copies(name)]
    wrong = 0
    for name, path in copies:
        is_good = is_right(name, path)
        wrong += not is_good
        print(f"{'right' if is_good else 'WRONG'}  {path}{'' if is_good else ': delete it and fetch it again'}")
    if not copies:
        print("No data file is at hand: kerascv-course data list")
    return FAILED if wrong else OK


def _bundle(options: argparse.Namespace) -> int:
    from kerascv_course.datasets.bundle import make_bundle

    try:
        files = make_bundle(options.folder)
    except (OSError, ValueError) as error:
        return _report(error)
    folder = Path(options.folder).expanduser().absolute()
    _print_files(files)
    print(
        f"\nIn {folder}, with checksums.\n"
        f"Serve it on the local network:  kerascv-course data serve {options.folder}\n"
        f"Or copy it, set KERASCV_COURSE_DATA to the copy, and put the files of its folder models,\n"
        "if there is one, into the folder .keras/models of the home folder."
    )
    return OK


def _serve(options: argparse.Namespace) -> int:
    from kerascv_course.datasets.bundle import WEIGHT_FOLDER
    from kerascv_course.datasets.serve import BundleServer

    try:
        server = BundleServer(options.folder, host=options.host, port=options.port, show=_print_now)
    except (OSError, ValueError) as error:
        return _report(error)
    with server:
        try:
            _print_files(list(server.files.values()))
            has_weights = any(name.startswith(f"{WEIGHT_FOLDER}/") for name in server.files)
            weights = " (weights: `kerascv-course data fetch weights`)" if has_weights else ""
            _print_now(
                "\nStudents set this environment variable, then run a notebook or "
                f"`kerascv-course data fetch cifar10`{weights}:\n\n"
                f"    KERASCV_COURSE_MIRRORS={server.address}\n\nStop with Ctrl-C."
            )
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")
    return OK


def _print_files(files: "Sequence[BundleFile]") -> None:
    for file in files:
        print(f"{_megabytes(file.size):>12}  {file.name}")


def _print_now(text: str) -> None:
    print(text, flush=True)


def _report(error: Exception) -> int:
    print(error, file=sys.stderr)
    return USAGE if isinstance(error, ValueError) else FAILED
