"""Where many images lie: in memory, or where they are large, in a file that is mapped.

Pages of a mapped file are read when they are touched and given up when memory is short, so a data
set may be larger than the machine's memory.
"""

from __future__ import annotations

import math
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.disk import cache_folder
from edgecnn.errors import DataError
from edgecnn.machine import this_machine
from edgecnn.spec import InputContract

LARGE = 1 << 30  # bytes; what is less has room in any workshop's memory
_CHUNK = 16  # images that are copied at once
_LOCAL_HEADER = struct.Struct("<26x2H")  # of a zip member; the lengths of its name and extra field


def is_large(size: int) -> bool:
    """Say whether so many bytes are better kept in a file than in this machine's memory."""
    memory = this_machine().memory_bytes
    return size > min(LARGE, memory // 4 or LARGE)


def refuse_too_large(count: int, shape: tuple[int, ...]) -> None:
    """Refuse images that neither memory nor the disk of the cache folder can hold.

    Args:
        count: How many images.
        shape: Of each: (height, width, channels).

    Raises:
        DataError: There is less room than they need.
    """
    needed = count * math.prod(shape)
    if not is_large(needed):
        return
    folder = cache_folder()
    above = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(above).free
    if needed > free:
        raise DataError(
            f"{count:,} images of {shape[0]}x{shape[1]} pixels need "
            f"{needed / 1e9:.1f} GB, and the disk of {folder} has {free / 1e9:.1f} GB free.",
            "Use a smaller --input-size or fewer images, or set XDG_CACHE_HOME to a folder with "
            "more room.",
        )


def allocate(count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Make room for images: uint8 [count, height, width, channels], its content undefined.

    Large ones lie in a file of the cache folder that has no name and goes with the array.

    Args:
        count: How many images.
        shape: Of each: (height, width, channels).

    Raises:
        DataError: The disk has no room for them.
    """
    size = count * math.prod(shape)
    if not is_large(size):
        return np.empty((count, *shape), np.uint8)
    refuse_too_large(count, shape)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not in the folder for temporary files, which often lies in memory.
        with tempfile.TemporaryFile(dir=folder) as file:
            # A full disk would otherwise end the process at some later touch of a page.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.uint8, "r+", shape=(count, *shape)))
    except OSError as error:
        raise DataError(
            f"{count:,} images cannot be kept in {folder}: {error.strerror or error}.",
            "Set XDG_CACHE_HOME to a folder with more room.",
        ) from error


def pick(images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Give some images; neighbours share the memory of those that they come from.

    Args:
        images: uint8 [N, height, width, channels].
        chosen: Their indices, int64 [M].

    Returns:
        uint8 [M, height, width, channels], C-contiguous.
    """
    if len(chosen) and (np.diff(chosen) == 1).all():
        return images[chosen[0] : chosen[-1] + 1]
    if not is_large(len(chosen) * math.prod(images.shape[1:])):
        return images[chosen]
    found = allocate(len(chosen), images.shape[1:])
    for start in range(0, len(chosen), _CHUNK):
        found[start : start + _CHUNK] = images[chosen[start : start + _CHUNK]]
    return found


def fitted(
    images: NDArray[np.uint8],
    contract: InputContract,
    progress: Callable[[str, float], None] | None = None,
) -> NDArray[np.uint8]:
    """Bring pixels that are in memory to a contract's size and colour, as `images.fit_all` does.

    Args:
        images: uint8 [N, height, width] or [N, height, width, channels].
        contract: Size, colour, resize rule and filter.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        uint8 [N, height, width, channels]; a mapped file where that is large.
    """
    from edgecnn.images import fit_all  # brings Pillow, which most commands do without

    if images.shape[1:] == contract.pixel_shape and contract.color != "bgr":
        return fit_all(images, contract)
    found = allocate(len(images), contract.pixel_shape)
    for start in range(0, len(images), _CHUNK):
        found[start : start + _CHUNK] = fit_all(images[start : start + _CHUNK], contract)
        if progress:
            progress("Resizing images", min(1.0, (start + _CHUNK) / len(images)))
    return found


def read_array(path: Path, file: Any, name: str) -> NDArray[Any]:
    """Read an array of an open npz file, or map it where it is large.

    Args:
        path: Where the file lies.
        file: What `numpy.load` gave for it.
        name: The array's name.
    """
    info = file.zip.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or not is_large(info.file_size):
        array: NDArray[Any] = file[name]
        return array
    with file.zip.open(info) as member:
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        header = member.tell()
        while member.read(1 << 20):  # at its end the checksum is compared
            pass
    with path.open("rb") as raw:
        raw.seek(info.header_offset)
        lengths = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    start = info.header_offset + _LOCAL_HEADER.size + sum(lengths) + header
    return np.asarray(np.memmap(path, dtype, "r", start, shape))
