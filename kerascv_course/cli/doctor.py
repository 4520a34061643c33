"""`kerascv-course doctor`: what this installation has, what it lacks, and what to do about it."""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass

from kerascv_course import __version__, runtime
from kerascv_course.cli.status import OK
from kerascv_course.datasets import cache_folder, find_cifar10
from kerascv_course.datasets.weights import find_weights

LEAST_FREE_BYTES = 2 * 1024**3  # the official CIFAR-10 archive, unpacked, and the decoded arrays
EXTRAS = {
    "notebooks": ("jupytext", "nbclient", "nbconvert", "latex2mathml"),
    "tensorboard": ("tensorboard",),
    "tuning": ("keras_tuner",),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: What was looked at.
        found: What was found.
        advice: What to do about it; empty where nothing is missing.
    """

    subject: str
    found: str
    advice: str = ""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`.

    Args:
        commands: What `add_subparsers` of the main parser returned.
    """
    doctor = commands.add_parser("doctor", help="what this machine has, what it lacks, and what to do about it")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    findings = examine()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            print(f"{'':<{width}}  -> {finding.advice}")
    return OK


def examine() -> list[Finding]:
    """Return what was found about Python, Keras, the device, the disk, data sets, weights and extras.

    Nothing is downloaded, written or changed.

    Returns:
        One `Finding` per subject, in the order in which they are worth reading.

    Example:
        >>> [finding.subject for finding in examine()][:2]
        ['kerascv_course', 'Python']
    """
    import keras

    backend, gpus, host = keras.config.backend(), runtime.find_gpus(), runtime.host()
    no_gpu = "Fine for the lite profile. In Colab: Runtime > Change runtime type > GPU."
    return [
        Finding("kerascv_course", __version__),
        Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("Keras", f"{keras.__version__} on {backend} {importlib.metadata.version(backend)}"),
        Finding("GPU", ", ".join(gpus) or "none", "" if gpus else no_gpu),
        Finding("Colab", "yes" if host == "Colab" else f"no, {host}" if host else "no"),
        _profile(),
        _disk(),
        _cifar10(),
        _weights(),
        *_extras(),
    ]


def _profile() -> Finding:
    set_by = runtime.PROFILE_VARIABLE if os.environ.get(runtime.PROFILE_VARIABLE) else "the device"
    try:
        return Finding("Profile", f"{runtime.profile()} (chosen by {set_by})")
    except ValueError as error:
        return Finding("Profile", "not valid", str(error))


def _disk() -> Finding:
    folder = cache_folder()
    existing = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    if existing is None:
        advice = "Name another cache folder in KERASCV_COURSE_CACHE."
        return Finding("Free disk", f"no such drive: {folder}", advice)
    free = shutil.disk_usage(existing).free
    advice = "CIFAR-10 needs 2 GiB. Free some, or name another cache folder in KERASCV_COURSE_CACHE."
    return Finding("Free disk", f"{free / 1024**3:.1f} GiB at {folder}", advice * (free < LEAST_FREE_BYTES))


def _cifar10() -> Finding:
    try:
        found = find_cifar10()
    except (OSError, ValueError) as error:
        return Finding("CIFAR-10", "not found", str(error))
    if found is not None:
        return Finding("CIFAR-10", str(found))
    advice = (
        "The notebooks take *patches* in its place, crops of photographs. `kerascv-course data fetch cifar10` "
        "downloads it (170 MB); to use a copy of your own, set KERASCV_COURSE_DATA to the folder that holds "
        "cifar-10-python.tar.gz."
    )
    return Finding("CIFAR-10", "not at hand", advice)


def _weights() -> Finding:
    files = sorted({path.name for path in find_weights()})
    advice = (
        "Without them the notebooks on transfer learning first train a network themselves, and say so. "
        "`kerascv-course data fetch` gets them."
    )
    return Finding("Pre-trained weights", ", ".join(files) or "none", "" if files else advice)


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in EXTRAS.items():
        missing = ", ".join(name for name in packages if importlib.util.find_spec(name) is None)
        advice = f'pip install "kerascv_course[{extra}]"' if missing else ""
        findings.append(Finding(f"Extra {extra}", f"lacks {missing}" if missing else "installed", advice))
    return findings
