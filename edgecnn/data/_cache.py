"""Arrays that took a while to make, kept in the user's cache folder.

A cache may always be missing: what is damaged is made anew, what cannot be written is not kept,
and either is noted, never an error. The zip file's own checksums tell damage.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data._storage import read_array
from edgecnn.disk import cache_folder

Arrays = Mapping[str, NDArray[Any]]
_KEY = "cache_key"


def cached(
    name: str, key: str, make: Callable[[], Arrays], *, keep: Callable[[Arrays], bool] | None = None
) -> tuple[Arrays, tuple[str, ...]]:
    """Give arrays from the cache, or make them and keep them.

    Args:
        name: Name of the cache file, without its suffix.
        key: What the arrays depend on beside the name; a file with another key is replaced.
        make: Makes the arrays.
        keep: Says whether the arrays may be kept; always, if left out.

    Returns:
        The arrays, and notes for the user.
    """
    try:
        path = cache_folder() / f"{name}.npz"
    except RuntimeError as error:
        return make(), (f"There is no cache folder, so nothing is kept: {error}",)
    found, notes = _read(path)
    if found is not None and str(found.get(_KEY)) == key:
        return {name: array for name, array in found.items() if name != _KEY}, ()
    arrays = make()
    if keep is None or keep(arrays):
        notes += _write(path, {**arrays, _KEY: np.array(key)})
    return arrays, notes


def _read(path: Path) -> tuple[Arrays | None, tuple[str, ...]]:
    if not path.is_file():
        return None, ()
    try:
        # np.load would leave a damaged file open if it opened it itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: read_array(path, file, name) for name in file.files}, ()
    except Exception:  # a damaged zip file fails in a dozen ways
        return None, (f"The cache file {path} was damaged and is made anew.",)


def _write(path: Path, arrays: Arrays) -> tuple[str, ...]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            Path(beside).replace(path)
        finally:
            with suppress(FileNotFoundError):
                Path(beside).unlink()
    except OSError as error:
        reason = error.strerror or error
        return (f"The cache file {path} could not be written and nothing is kept: {reason}.",)
    return ()
