"""Write `colab-cpu.txt`, `colab-gpu.txt` and `colab-tpu.txt` from the lists of packages that Google publishes.

The lists are those of https://github.com/googlecolab/backend-info: `pip-freeze.txt` (CPU), `pip-freeze.gpu.txt`
and `pip-freeze.tpu.txt`. The name of a file says which runtime it is of, "cpu" where it says nothing:

    python constraints/make_colab.py --of "2026-08-19, Python 3.13, commit a724079" pip-freeze*.txt

What is installed from an address, such as Colab's own package, has no version that an index could serve, and is
left out.
"""

import argparse
import re
from pathlib import Path

HEADER = """\
# What Google Colab's {kind} runtime has: {of}.
# Written by constraints/make_colab.py from the lists of https://github.com/googlecolab/backend-info.
"""


def runtime_of(path: Path) -> str:
    """Return "cpu", "gpu" or "tpu"."""
    return next((kind for kind in ("gpu", "tpu") if kind in path.name.lower()), "cpu")


def versions(text: str) -> list[str]:
    """Return the lines `name==version` of a list, sorted, each package once."""
    lines = (line.strip() for line in text.splitlines())
    pinned = {line for line in lines if re.fullmatch(r"[\w.-]+==[\w.+!-]+", line)}
    return sorted(pinned, key=str.lower)


def main() -> None:
    """Read the lists that the command line names, and write a file for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="+", type=Path, metavar="LIST")
    parser.add_argument("--of", required=True, help="the day of the lists, and their commit")
    options = parser.parse_args()
    for path in options.lists:
        kind, lines = runtime_of(path), versions(path.read_text(encoding="utf-8"))
        if not lines:
            parser.error(f"{path} has no line `name==version`.")
        target = Path(__file__).with_name(f"colab-{kind}.txt")
        header = HEADER.format(kind=kind.upper(), of=options.of)
        target.write_text(header + "".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        print(f"{target.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
