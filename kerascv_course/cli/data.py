"""`kerascv-course data list | fetch | verify`: the data files and the weights of two backbones."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from kerascv_course._validation import check_choice
from kerascv_course.cli.status import FAILED, OK, USAGE
from kerascv_course.datasets import cifar10, fetching, weights
from kerascv_course.datasets.registry import FILES


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `data` and its sub-commands.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    data = commands.add_parser("data", help="the data files: fetch them once, check them, share them with a class")
    actions = data.add_subparsers(required=True, metavar="ACTION")

    list_ = actions.add_parser("list", help="what is known, and where it is")
    list_.add_argument("--checksums", action="store_true", help="also write SHA256SUMS into the downloads folder")
    list_.set_defaults(command=_list)

    fetch_ = actions.add_parser("fetch", help="bring files into the downloads folder; goes on where it broke off")
    fetch_.add_argument("names", nargs="*", metavar="NAME", help="as `data list` shows it (default: all)")
    fetch_.set_defaults(command=_fetch)

    verify = actions.add_parser("verify", help="compare what is at hand with its checksums")
    verify.set_defaults(command=_verify)


def _list(options: argparse.Namespace) -> int:
    print(f"Downloads folder: {fetching.downloads_folder()}")
    shown: list[Path] = []
    for name, file in FILES.items():
        copies = fetching.find_copies(file)
        shown += copies
        print(f"{name}: {file.title}", *(map(_sized, copies) if copies else _missing(name)), sep="\n  ")
    if others := [path for path in weights.find_weights() if path not in shown]:
        print("Other weights:", *map(_sized, others), sep="\n  ")
    return _write_checksums() if options.checksums else OK


def _sized(path: Path) -> str:
    return f"{path}, {path.stat().st_size / 1e6:,.1f} MB"


def _missing(name: str) -> Iterator[str]:
    try:
        if name == "cifar10" and (other := cifar10.find_cifar10()) is not None:
            yield f"at hand in another form, which `load_cifar10` reads: {other}"
    except FileNotFoundError as error:
        yield str(error)
    yield f"not at hand: kerascv-course data fetch {name}"


def _write_checksums() -> int:
    """Write the checksums of the files in the downloads folder as sha256sum does, unless one is damaged."""
    import pooch

    lines = []
    for file in FILES.values():
        path = fetching.downloads_folder() / file.path
        if path.is_file() and file.checksum and not fetching.is_right(path, file.checksum):
            print(f"{path} is damaged: delete it and fetch it again. No checksums were written.", file=sys.stderr)
            return FAILED
        if path.is_file():
            lines.append(f"{pooch.file_hash(str(path))}  {file.path}\n")
    if not lines:
        print("The downloads folder is empty: kerascv-course data fetch", file=sys.stderr)
        return FAILED
    target = fetching.downloads_folder() / fetching.CHECKSUMS
    target.write_text("".join(lines), encoding="ascii", newline="\n")
    print(f"{len(lines)} checksums: {target}")
    return OK


def _fetch(options: argparse.Namespace) -> int:
    try:
        for name in options.names:
            check_choice("data fetch", "NAME", name, FILES)
        for name in options.names or FILES:
            print(_bring(FILES[name]), flush=True)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, ValueError) else FAILED
    return OK


def _bring(file: fetching.RemoteFile) -> str:
    """Bring a file into the downloads folder: a copy on this machine that is right, or else from the network."""
    target = fetching.downloads_folder() / file.path
    if not target.is_file():
        for copy in fetching.find_copies(file) if file.checksum else ():
            if fetching.is_right(copy, file.checksum):
                weights.place_copy(copy, target)
                return f"Copied from {copy}: {target}"
    fetched = fetching.fetch(file)
    if not fetched.is_new:
        return f"At hand already: {target}"
    checked = f"compared with {fetched.checked}" if fetched.checked else "UNCHECKED: nobody states its checksum"
    return f"Complete, {checked}: {target}"


def _verify(options: argparse.Namespace) -> int:
    sums = fetching.downloads_folder() / fetching.CHECKSUMS
    listed = sums.read_text("utf-8", "replace") if sums.is_file() else ""
    status, found = OK, False
    for file in FILES.values():
        checksum = file.checksum or fetching.listed_checksum(listed, file)
        for path in fetching.find_copies(file):
            found = True
            if not checksum:
                print(f"unchecked  {path}: no checksum is known")
            elif fetching.is_right(path, checksum):
                print(f"right      {path}")
            else:
                print(f"WRONG      {path}: delete it and fetch it again")
                status = FAILED
    if not found:
        print("No data file is at hand: kerascv-course data list")
    return status
