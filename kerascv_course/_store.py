"""The one folder in which a run is kept: what is done is found again, and named when damaged or of another run."""

import copy
import itertools
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kerascv_course._fingerprints import file_digest, text_digest
from kerascv_course._validation import input_error


class RunFolder:
    """What is done of a run, in a folder of the user's: a record, and the files of weights that it names.

    The record is replaced in one step, after the files that it points to are complete; the name of a file stands
    in it before the file is written. So a run killed at any moment leaves one that can be loaded and no file that
    is nobody's; and a file that the record does not name is never touched.

    Args:
        function: Name of the public function that was called.
        folder: The folder; made when there is something to keep.
        anew: What the user does to train anew, as it stands in errors.
        argument: What names the folder: an argument of the function, or an environment variable.

    Raises:
        TypeError: If `folder` is no path.
        ValueError: If it is a file, or holds the run of another function.
    """

    RECORD = "kerascv_run.json"
    FORMAT = 2  # of the record; another one is written by another version of this package

    def __init__(
        self, function: str, folder: Any, anew: str = "Pass `resume=False` to train anew", argument: str = "folder"
    ) -> None:
        self.function, self.anew, self.argument = function, anew, argument
        rule = "a folder, or a name that does not exist yet"
        if not isinstance(folder, str | os.PathLike):
            raise input_error(function, argument, rule, folder, error=TypeError)
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise input_error(function, argument, rule, str(folder))
        self.of, self.values, self.damage = function, {}, ""
        self.files: dict[str, dict[str, str]] = {}
        self._names: list[str] = []  # of all files that are ours
        self._put: list[str] = []  # of those that no record points to yet
        try:
            content = json.loads((self.folder / self.RECORD).read_text(encoding="utf-8"))
            record = content["record"]
            if content["sha256"] != text_digest(json.dumps(record)):
                raise ValueError("its checksum differs")
            if record["format"] != self.FORMAT:
                raise ValueError("another version of this package wrote it")
            self.of, self.values, self.files, self._names = (record[k] for k in ("of", "values", "files", "names"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.damage = f"{type(error).__name__}: {error}"
        if self.of != self.function:
            rule = f"a folder whose run is one of `{self.function}`, not of `{self.of}`"
            raise self._error(rule, f"Name another `{self.argument}`.")

    def read(self) -> dict[str, Any]:
        """Return what was kept, or {}; raise where a file is damaged."""
        if self.damage:
            raise self._damaged(self.RECORD, self.damage)
        for file in self.files.values():
            path = self.folder / file["name"]
            if not path.is_file():
                raise self._damaged(file["name"], "it is missing")
            if file_digest(path) != file["sha256"]:
                raise self._damaged(file["name"], "its checksum differs")
        return copy.deepcopy(self.values)

    def other(self, differing: list[str]) -> Exception:
        """Return the error for a folder whose run is another one."""
        rule = f"a folder whose run has the same {', '.join(dict.fromkeys(differing))}"
        way_out = f"Name another `{self.argument}`. {self.anew}: that overwrites the run."
        return self._error(rule, way_out)

    def load(self, kind: str, model: keras.Model) -> None:
        """Load the weights of that kind, and the state of the optimizer where the model is compiled."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file holds the state of an optimizer that may not be wanted
            model.load_weights(self.folder / self.files[kind]["name"])

    def put(self, model: keras.Model) -> dict[str, str]:
        """Write the weights of a model into a file; return what `keep` takes to point to it."""
        used = {file["name"] for file in self.files.values()} | set(self._put)
        name = next((name for name in self._names if name not in used), None)
        if name is None:
            names = (f"run-{number}.weights.h5" for number in itertools.count(1))
            name = next(n for n in names if n not in self._names and not (self.folder / n).exists())
            self._names.append(name)
            self._write()
        self._put.append(name)
        model.save_weights(self.folder / name)
        return {"name": name, "sha256": file_digest(self.folder / name)}

    def keep(self, values: dict[str, Any], files: Mapping[str, dict[str, str]] | None = None) -> None:
        """Keep values that JSON can hold, and point to files that `put` returned; delete others of ours."""
        self.of, self.values, self.files, self._put = self.function, copy.deepcopy(values), dict(files or {}), []
        self._write()
        used = {file["name"] for file in self.files.values()}
        for name in self._names:
            if name not in used:
                (self.folder / name).unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            record = {"format": self.FORMAT, "of": self.of, "values": self.values, "files": self.files}
            record["names"] = self._names
            partial = self.folder / f"{self.RECORD}.partial"
            content = {"sha256": text_digest(json.dumps(record)), "record": record}
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
            os.replace(partial, self.folder / self.RECORD)
        except OSError as error:
            rule = "a folder that can be made and written to"
            raise self._error(rule, f"({error})", OSError) from error

    def _damaged(self, name: str, reason: str) -> Exception:
        way_out = f"{name} is damaged ({reason}). {self.anew}, or name another `{self.argument}`."
        return self._error("a folder whose files are whole", way_out)

    def _error(self, rule: str, way_out: str, error: type[Exception] = ValueError) -> Exception:
        return input_error(self.function, self.argument, rule, str(self.folder), way_out, error)
