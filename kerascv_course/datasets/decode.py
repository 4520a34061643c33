"""Image files to pixels, one after the other or in worker processes.

The workers are those of joblib (loky): they do not import the caller's script, as `multiprocessing` would, so that
scripts need no guard. (Threads do not serve: for small images most of the work is Pillow's Python code.) This
module imports little, as each worker imports it too.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000
_READ = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no others: Pillow starts programs for some
_HUGE = f"huge: more than {MAX_PIXELS // 10**6} megapixels"
_WORTH_S = 1.0  # what would take this process longer is worth worker processes, which start in about 0.3 seconds
_MAX_WORKERS = 8  # each may hold a decoded image of MAX_PIXELS
_SMALL_BYTES = 2**16
_CHUNK_FILES = 500
_CHUNK_BYTES = 16 * 2**20


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


_Decoded = tuple[np.ndarray, dict[int, str]]  # images, faults by index


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
    images = np.empty((len(paths), *rule[:3]), "uint8")
    faults: dict[int, str] = {}
    size = max(1, min(_CHUNK_FILES, _CHUNK_BYTES // (rule.height * rule.width * rule.channels), len(paths) // 64))
    chunks = [slice(start, start + size) for start in range(0, len(paths), size)]

    def keep(chunk: slice, decoded: _Decoded) -> None:
        images[chunk], found = decoded
        faults.update({chunk.start + index: fault for index, fault in found.items()})

    started = time.monotonic()
    for done in range(1, len(chunks) + 1):
        keep(chunk := chunks.pop(), decode_chunk(paths[chunk], rule))
        if (time.monotonic() - started) / done * len(chunks) > _WORTH_S:
            _decode_in_workers(chunks, paths, rule, keep)
            break
    for chunk in chunks:  # what workers left that failed
        keep(chunk, decode_chunk(paths[chunk], rule))
    return images, dict(sorted(faults.items()))


def _decode_in_workers(
    chunks: list[slice], paths: Sequence[str], rule: PixelRule, keep: Callable[[slice, _Decoded], None]
) -> None:
    """Let workers take chunks from the front; leave what they failed to do."""
    from joblib import cpu_count
    from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

    workers = min(cpu_count(), _MAX_WORKERS, len(chunks))
    if workers < 2:
        return
    # An executor of our own, which ends with its workers: joblib's common one may be at other work.
    with contextlib.suppress(BrokenProcessPool, OSError, NotImplementedError):
        executor = ProcessPoolExecutor(workers)
        try:
            parts = [paths[chunk] for chunk in chunks]
            for decoded in executor.map(decode_chunk, parts, itertools.repeat(rule)):
                keep(chunks.pop(0), decoded)
        finally:
            executor.shutdown(kill_workers=True)


def decode_chunk(paths: Sequence[str], rule: PixelRule) -> _Decoded:
    """Return the images of some files, and the faults by index."""
    images, faults = np.zeros((len(paths), *rule[:3]), "uint8"), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on odd metadata: what hinders reading is a fault
        for index, path in enumerate(paths):
            try:
                images[index].reshape(-1).data[:] = _decode(path, rule)
            except Exception as error:  # Pillow raises almost anything for a damaged file
                faults[index] = _describe(error)
    return images, faults


def is_image(path: str) -> bool:
    """Tell whether a file begins as an image of a format that is read, whatever its name is.

    Example:
        >>> is_image(__file__)
        False
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.open(path, formats=_READ).close()
        except Exception as error:  # what is damaged, too large or not to be opened, decoding tells
            return not isinstance(error, UnidentifiedImageError)
    return True


class _FaultError(Exception):
    """Why a file that Pillow reads is refused all the same."""


def _describe(error: Exception) -> str:
    if isinstance(error, _FaultError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return _HUGE
    if isinstance(error, UnidentifiedImageError):
        return f"unreadable: no {', '.join(_READ[:-1])} or {_READ[-1]}"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"unreadable: {reason.splitlines()[0][:100]}"


def _decode(path: str, rule: PixelRule) -> bytes:
    with Image.open(_source(path), formats=_READ) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _FaultError(_HUGE)
        mode = "RGB" if rule.channels == 3 else "L"
        sides = rule.width, rule.height
        # Most JPEG files have no EXIF data, and looking for it takes a tenth of the time of a small one.
        is_upright = image.format == "JPEG" and image.info.keys().isdisjoint(("exif", "xmp"))
        if image.size == sides and image.mode == mode and is_upright:
            return image.tobytes()
        if rule.exact and (image.size != sides or image.mode != mode):
            raise _FaultError(f"{image.width}x{image.height}, mode {image.mode}")
        # A JPEG can be decoded at a half, a quarter or an eighth; twice what is needed leaves the filter its work.
        longer = 2 * max(rule.height, rule.width)
        if max(image.size) > longer:
            image.draft(None, (longer, longer))
        image.load()
        if not is_upright:
            ImageOps.exif_transpose(image, in_place=True)
        upright = _eight_bits(image)
    if upright.size != sides:  # scaled to cover the size; what juts out is cut off on two sides
        upright = ImageOps.fit(upright, sides, Image.Resampling.BILINEAR)
    if "A" in upright.getbands():
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
    return (upright if upright.mode == mode else upright.convert(mode)).tobytes()


def _source(path: str) -> str | io.BytesIO:
    """Return the content of a small file, which is faster to read at once, or the path of a large one."""
    size = os.stat(path).st_size
    if not size:
        raise _FaultError("empty")
    return path if size > _SMALL_BYTES else io.BytesIO(Path(path).read_bytes())


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode with 8 bits a channel that can be scaled: L, LA, RGB or RGBA."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
    if image.mode in ("I", "F"):
        raise _FaultError("pixels of 32 bits, whose range is not known")
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")
