"""Where a generated notebook gets the package from, and where its badge leads."""

import base64
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import quote

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from kerascv_course import __version__
from kerascv_course._validation import input_error

WHEEL = f"kerascv_course-{__version__}-py3-none-any.whl"
COLAB = "https://colab.research.google.com"
_ADDRESS = re.compile(  # scheme, host, port, path: ssh://git@host:22/a/b.git, git@host:a/b, host/a/b/tree/main?x=y
    r"(?:(?:git\+)?(https?|ssh|git)://)?(?:[^/]*@)?([\w-]+(?:\.[\w-]+)+)(?(1)(:\d+)?)[:/]/*"
    r"([\w.~-]+(?:/[\w.~-]+)+)(?:[/?#].*)?",
    flags=re.IGNORECASE | re.ASCII,
)
_FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}, "_kg_hide-input": True}  # each place's own word


@dataclass(frozen=True)
class Release:
    """Where the notebooks get the package from, and where their badges lead.

    Attributes:
        repository: The https address of the repository, among whose releases the wheel is; "" for none.
        on_index: Whether the package of this name on the package index is the repository's.
        badge: The address that opens the folder of the students' notebooks in Colab; "" for no badge.
        wheel: The wheel where the notebooks carry it themselves, otherwise empty.
    """

    repository: str = ""
    on_index: bool = False
    badge: str = ""
    wheel: bytes = b""

    def cells(self, path: str, needs: Sequence[str]) -> list[NotebookNode]:
        """Return the cells before the lesson: the badge, the package if the notebook carries it, the first cell.

        Args:
            path: The notebook's path in the folder of the students' notebooks.
            needs: Requirements besides the package that Colab lacks, for example "keras-tuner>=1.4.8".
        """
        cells = []
        if self.badge:
            badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({self.badge}/{path})"
            cells.append(new_markdown_cell(badge, id="badge"))
        if self.wheel:
            package = _template("package_cell", wheel=WHEEL, bytes=base64.encodebytes(self.wheel).decode())
            cells.append(new_code_cell(package, id="package", metadata=_FOLDED))
        release = f"{self.repository}/releases/download/v{__version__}/{WHEEL}"
        known = {release: self.repository, f"kerascv_course=={__version__}": self.on_index}
        addresses = [address for address, is_known in known.items() if is_known and not self.wheel]
        by_name = {re.split(r"[^\w.-]", requirement)[0]: requirement for requirement in needs}
        lists = {"addresses": json.dumps(addresses), "needs": json.dumps(by_name)}
        first = _template("first_cell", version=__version__, wheel=WHEEL, **lists)
        return [*cells, new_code_cell(first, id="cell-00")]


NO_RELEASE = Release()


def _template(name: str, **values: str) -> str:
    text = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")
    return Template(text.rstrip()).substitute(values)


def find_release(root: Path, repository: str | None = None) -> Release:
    """Return the release of a repository, by what is known of its address.

    Args:
        root: The repository's folder.
        repository: Its address in any form; "" for none; None: what `pyproject.toml` says, otherwise
            `GITHUB_REPOSITORY`, otherwise the remote named origin.

    Returns:
        The release, with a badge where the repository is at GitHub.

    Raises:
        ValueError: If what is given, or stands in `pyproject.toml`, is no address of a repository.
    """
    pyproject = root / "pyproject.toml"
    tables = tomllib.loads(pyproject.read_text(encoding="utf-8")) if pyproject.exists() else {}
    settings = tables.get("tool", {}).get("kerascv_course", {})
    given = settings.get("repository", "") if repository is None else repository
    address = web_address(given)
    if given and not address:
        rule = "the address of a repository, for example https://github.com/OWNER/NAME"
        raise input_error("build", "repository", rule, re.sub(r"//[^/]*@", "//", given))
    if repository is None and not given:
        address = web_address(os.environ.get("GITHUB_REPOSITORY", ""))
        if not address and (root / ".git").exists() and shutil.which("git"):
            command = ["git", "-C", str(root), "remote", "get-url", "origin"]
            remote = subprocess.run(command, capture_output=True, text=True).stdout
            address = web_address(remote) if ":" in remote else ""  # without a colon it is a folder
    at_github = address.startswith("https://github.com/")
    badge = badge_base(f"{address}/blob/v{__version__}/notebooks") if at_github else ""
    return Release(address, settings.get("on_index") is True, badge)


def web_address(text: str) -> str:
    """Return the https address of a repository, without credentials; "" for what is no address.

    Args:
        text: The address in any form that git takes or a browser shows, or "OWNER/NAME" at GitHub.

    Example:
        >>> web_address("git@github.com:OWNER/NAME.git")
        'https://github.com/OWNER/NAME'
    """
    text = text.strip()
    match = _ADDRESS.fullmatch(f"github.com/{text}" if re.fullmatch(r"[\w-]+/[\w.-]+", text) else text)
    if not match:
        return ""
    scheme, host, port, path = match.groups()
    host = re.sub(r"^(www|ssh)\.(?=github\.com$)", "", host.lower())
    path = re.split(r"/(?:-|releases)/", path)[0].removesuffix(".git")
    if host == "github.com":
        path = "/".join(path.split("/")[:2])
    elif scheme == "https" and port:
        host += port
    return f"https://{host}/{path}"


def badge_base(address: str) -> str:
    """Return the address that opens a folder of notebooks in Colab.

    Args:
        address: A folder at GitHub with its branch, as the browser shows it; any other address stays as it is.

    Raises:
        ValueError: If it is no web address, or names no branch of a repository at GitHub.

    Example:
        >>> badge_base("https://github.com/OWNER/NAME/tree/main/handouts/")
        'https://colab.research.google.com/github/OWNER/NAME/blob/main/handouts'
    """
    address = re.sub(r"//[^/]*@", "//", address)
    found = re.fullmatch(r"https?://(?:www\.)?github\.com(/[^/]+/[^/]+)/(?:blob|tree)(/[^?#]+)", address)
    if not found and not re.match(r"https?://(?!(www\.)?github\.com/)[^\s@()]+$", address):
        rule = "the web address of a folder, for example https://github.com/OWNER/NAME/blob/main/FOLDER"
        raise input_error("build", "--badge-base", rule, address)
    folder = f"{COLAB}/github{found[1]}/blob{quote(found[2], safe='/%~')}" if found else address
    return folder.rstrip("/")


def installed_from() -> str:
    """Return the repository whose release is installed, "" where the package came from elsewhere."""
    installed = importlib.metadata.distributions(name="kerascv_course")
    record = next(filter(None, (distribution.read_text("direct_url.json") for distribution in installed)), "{}")
    return web_address(json.loads(record).get("url", ""))


def build_wheel(root: Path) -> bytes:
    """Return the wheel of a repository.

    Args:
        root: The repository's folder.

    Raises:
        OSError: If it cannot be built, or is not of this version.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(root)]
        done = subprocess.run(command, capture_output=True, text=True)
        if not (Path(folder) / WHEEL).exists():
            raise OSError(f"{WHEEL} cannot be built in {root.resolve()}.\n{done.stderr}".strip())
        return (Path(folder) / WHEEL).read_bytes()
