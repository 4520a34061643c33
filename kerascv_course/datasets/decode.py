"""Image files to pixels, one after the other or in worker processes.

The same file is the program of a worker. A worker is an ordinary Python program that is handed paths and hands
back pixels: it never imports the caller's script, as `multiprocessing` would, so that scripts need no guard, and
it loads Pillow only. (Threads do not serve: for small images most of the work is Pillow's Python code.)
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 50_000_000
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_READ = tuple(dict.fromkeys(FORMATS.values()))  # and nothing else: Pillow would start programs for some formats
_HUGE = f"huge: more than {MAX_PIXELS // 10**6} megapixels"
_PATIENCE_S = 0.3  # what takes longer than this is worth worker processes, which start in about 0.2 seconds
_MAX_WORKERS = 8  # each may hold a decoded image of MAX_PIXELS
_SMALL_BYTES = 2**16
_CHUNK_FILES = 250
_CHUNK_BYTES = 16 * 2**20
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PixelRule(NamedTuple):
    """What every image becomes.

    Args:
        height: In pixels.
        width: In pixels.
        channels: 3 for RGB, 1 for grey.
        exact: Whether a file must hold such an image already; otherwise it is converted, scaled and cropped.
    """

    height: int
    width: int
    channels: int
    exact: bool = False

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return self.height * self.width * self.channels


def decode_files(paths: Sequence[str], rule: PixelRule) -> tuple[np.ndarray, dict[int, str]]:
    """Decode image files, in worker processes where one process would take noticeably long.

    Args:
        paths: The files. Links are followed: who lists them decides about those.
        rule: What every image becomes.

    Returns:
        The images, `uint8` of shape `(len(paths), height, width, channels)`, and the fault of each file that could
        not be decoded, by its index; its image is black.

    Example:
        >>> images, faults = decode_files(["no_such_file.png"], PixelRule(8, 8, 3))
        >>> images.shape, faults
        ((1, 8, 8, 3), {0: 'unreadable: No such file or directory'})
    """
    import numpy as np  # here, as a worker has no use for it

    images = np.empty((len(paths), rule.height, rule.width, rule.channels), "uint8")
    pixels = images.reshape(-1).data
    faults: dict[int, str] = {}
    workers = 0 if getattr(sys, "frozen", False) else min(_cpu_count(), _MAX_WORKERS)
    size = max(1, min(_CHUNK_FILES, _CHUNK_BYTES // rule.image_bytes, len(paths) // 64))
    chunks = [(start, list(paths[start : start + size])) for start in range(0, len(paths), size)][::-1]

    def decode_here() -> None:
        start, part = chunks.pop()
        content, found = decode_chunk(part, rule)
        pixels[start * rule.image_bytes : start * rule.image_bytes + len(content)] = content
        faults.update({start + index: fault for index, fault in found.items()})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on odd metadata: what hinders reading is a fault
        patience_ends = time.monotonic() + _PATIENCE_S
        while chunks and (workers < 2 or time.monotonic() < patience_ends):
            decode_here()
        if chunks:
            _decode_in_workers(min(workers, len(chunks)), chunks, rule, pixels, faults)
        while chunks:  # what failed workers left: no worker is better than no images
            decode_here()
    return images, dict(sorted(faults.items()))


def decode_chunk(paths: Sequence[str], rule: PixelRule) -> tuple[bytearray, dict[int, str]]:
    """Return the pixels of some files, one image after the other, and the faults by index."""
    content, faults = bytearray(len(paths) * rule.image_bytes), {}
    for index, path in enumerate(paths):
        try:
            content[index * rule.image_bytes : (index + 1) * rule.image_bytes] = _decode(path, rule)
        except Exception as error:  # Pillow raises almost anything for a damaged file
            faults[index] = _describe(error)
    return content, faults


def header_fault(path: str) -> str | None:
    """Return why an image file would be refused, as far as its header tells, or `None`.

    Example:
        >>> header_fault("no_such_file.png")
        'unreadable: No such file or directory'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=_READ) as image:
                _check_header(image, path)
        except Exception as error:  # as above
            return _describe(error)
    return None


class _FaultError(Exception):
    """Why a file that Pillow reads is refused all the same."""


def _describe(error: Exception) -> str:
    if isinstance(error, _FaultError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return _HUGE
    if isinstance(error, UnidentifiedImageError):
        return "unreadable: no image of a known format"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"unreadable: {reason.splitlines()[0][:100]}"


def _check_header(image: Image.Image, path: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _FaultError(_HUGE)
    # Pillow calls a JPEG with a preview or a depth map beside it, as phones write them, MPO.
    content = "JPEG" if image.format == "MPO" else image.format
    if content != FORMATS.get(os.path.splitext(path)[1].lower()):
        raise _FaultError(f"mislabelled: the content is {content}")


def _decode(path: str, rule: PixelRule) -> bytes:
    if rule.exact:
        with Image.open(_source(path), formats=("PNG", "JPEG")) as image:
            if image.size != (rule.width, rule.height) or image.mode != ("RGB" if rule.channels == 3 else "L"):
                raise _FaultError(f"{image.width}x{image.height}, mode {image.mode}")
            return image.tobytes()
    with Image.open(_source(path), formats=_READ) as image:
        _check_header(image, path)
        # A JPEG can be decoded at a half, a quarter or an eighth; twice what is needed leaves the filter its work.
        longer = 2 * max(rule.height, rule.width)
        if max(image.size) > longer:
            image.draft(None, (longer, longer))
        image.load()
        # Most JPEG files have no EXIF data, and looking for it takes a tenth of the time of a small one.
        may_be_turned = image.format != "JPEG" or not image.info.keys().isdisjoint(("exif", "xmp"))
        orientation = image.getexif().get(_ORIENTATION) if may_be_turned else None
        sides = (rule.height, rule.width) if orientation in (5, 6, 7, 8) else (rule.width, rule.height)
        upright = _fit(_eight_bits(image), *sides)
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    if "A" in upright.getbands():
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
    mode = "RGB" if rule.channels == 3 else "L"
    return (upright if upright.mode == mode else upright.convert(mode)).tobytes()


def _source(path: str) -> str | io.BytesIO:
    """Return the content of a small file, which is faster to read at once, or the path of a large one."""
    with open(path, "rb", buffering=0) as file:
        content = file.read(_SMALL_BYTES + 1)
    return path if len(content) > _SMALL_BYTES else io.BytesIO(content)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode with 8 bits a channel that can be scaled: L, LA, RGB or RGBA."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        import numpy as np

        return Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
    if image.mode in ("I", "F"):
        raise _FaultError("pixels of 32 bits, whose range is not known")
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale to cover the size, keeping the aspect ratio, and cut what juts out on two sides."""
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
    box = (
        max(left, 0.0),
        max(top, 0.0),
        min(image.width - left, image.width),
        min(image.height - top, image.height),
    )
    return image.resize((width, height), Image.Resampling.BILINEAR, box)


# Worker processes. To a worker goes one line of JSON for each chunk, the rule and the paths; back comes one line,
# the faults by index, and then the pixels.

_Chunk = tuple[int, list[str]]


def _cpu_count() -> int:
    return getattr(os, "process_cpu_count", os.cpu_count)() or 1


def _decode_in_workers(
    count: int, chunks: list[_Chunk], rule: PixelRule, pixels: memoryview, faults: dict[int, str]
) -> None:
    """Let workers take chunks off the list until it is empty; those of workers that failed are on it again."""
    failed: list[_Chunk] = []

    def attend(worker: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                start, part = chunks.pop()
            except IndexError:
                return
            try:
                found = _ask(
                    worker, rule, part, pixels[start * rule.image_bytes :][: len(part) * rule.image_bytes]
                )
            except (OSError, ValueError):  # the worker ended, or speaks another language
                failed.append((start, part))
                return
            faults.update({start + int(index): fault for index, fault in found.items()})

    workers: list[subprocess.Popen[bytes]] = []
    try:
        with contextlib.suppress(OSError):  # where no program may be started, this one does the work
            workers.extend(_start_worker() for _ in range(count))
        threads = [threading.Thread(target=attend, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:  # also when the user interrupts: the threads then end with their workers
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.communicate()
    chunks.extend(failed)


def _start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _ask(
    worker: subprocess.Popen[bytes], rule: PixelRule, part: Sequence[str], pixels: memoryview
) -> dict[str, str]:
    """Have a worker decode some files into the given pixels, and return the faults."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps([rule, part]).encode() + b"\n")
    worker.stdin.flush()
    faults = json.loads(worker.stdout.readline())
    while pixels:
        count = worker.stdout.readinto(pixels)  # type: ignore[attr-defined]
        if not count:
            raise OSError("the worker ended")
        pixels = pixels[count:]
    return faults


def _work() -> None:
    """Decode what standard input asks for until it ends: the life of a worker."""
    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer:
        rule, paths = json.loads(line)
        content, faults = decode_chunk(paths, PixelRule(*rule))
        sys.stdout.buffer.write(json.dumps(faults).encode() + b"\n")
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _work()
