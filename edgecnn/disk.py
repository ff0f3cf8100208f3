"""Writing to disk so that a crash at any moment leaves the old files or the new, never half.

A folder is changed through a redo log. The new files are staged in `.staging`, flushed, and become
true in one rename to `.commit`; only then do they move to their places. A reader looks into
`.commit` first, so it sees the old files or the new ones; a writer that finds a `.commit` left by
a crash finishes it before it begins.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecnn.errors import BundleError, InputError

COMMIT = ".commit"
_STAGING, _LOCK = ".staging", ".lock"


def cache_folder() -> Path:
    """Give the user's cache folder for edgecnn: in $XDG_CACHE_HOME, or in ~/.cache."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that a path which is not absolute is to be ignored.
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "edgecnn"


def read_file(folder: Path, name: str) -> bytes | None:
    """Read a file of a folder; None if there is none.

    Raises:
        BundleError: It is there and cannot be read.
    """
    for path in (folder / COMMIT / name, folder / name):
        try:
            return _read(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            raise BundleError(
                f"{path} cannot be read: {error.strerror or error}.",
                "Check its permissions and the disk.",
            ) from error
    return None


def place(folder: Path, name: str) -> Path:
    """Give the path at which a file of a folder now lies."""
    staged = folder / COMMIT / name
    return staged if staged.is_file() else folder / name


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its target, flush it, then rename it over the target.

    Raises:
        InputError: The target is no ordinary file, or the disk is full or not writable.
    """
    with disk_errors(path):
        target, beside = _target(path)
        try:
            _write(beside, content)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def prove_writable(path: Path) -> None:
    """Find out that a file cannot be written before the work whose result it is to hold.

    Raises:
        InputError: It is no ordinary file, or the disk is full or not writable.
    """
    with disk_errors(path):
        _, beside = _target(path)
        try:
            _write(beside, b" ")
        finally:
            beside.unlink(missing_ok=True)


def make_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with some files; it appears whole, in one rename.

    Raises:
        InputError: The disk is full or not writable, or there is such a folder by now.
    """
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    with disk_errors(folder):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            _write_all(fresh, files)
            fresh.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def commit(folder: Path, files: Mapping[str, bytes], *, last: str) -> None:
    """Change files of a folder, all of them or none; call it under `locked`.

    Args:
        folder: The folder.
        files: Names and new contents.
        last: The file to move last.

    Raises:
        InputError: The disk is full or not writable.
    """
    staging = folder / _STAGING
    with disk_errors(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            _write_all(staging, files)
            staging.rename(folder / COMMIT)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        finish_commit(folder, last=last)


def finish_commit(folder: Path, *, last: str) -> None:
    """Finish a commit that a crash left; nothing happens where there is none."""
    pending = folder / COMMIT
    if not pending.is_dir():
        return
    _sync(folder)
    for path in sorted(pending.iterdir(), key=lambda path: path.name == last):
        path.replace(folder / path.name)
    _sync(folder)
    pending.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that is written to.

    Raises:
        BundleError: Another process holds it.
        InputError: The folder is not writable.
    """
    from filelock import FileLock, Timeout

    holder = folder / f"{_LOCK}-holder"
    with disk_errors(folder):
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BundleError(
                f"{folder} is being written by {_holder(holder)}.",
                "Wait until it is done, then try again.",
            ) from None
        try:
            holder.write_text(f"process {os.getpid()}")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is gone afterwards, even if Ctrl-C comes while it is being removed.

    `tempfile.TemporaryDirectory` leaves behind what it was interrupted at.
    """
    folder = Path(tempfile.mkdtemp(prefix="edgecnn-"))
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def temporary_file(name: str, content: bytes) -> Iterator[Path]:
    """Write a file that is gone afterwards: one that must be proved before it gets its place.

    Raises:
        InputError: The disk is full or not writable.
    """
    with temporary_folder() as folder:
        path = folder / name
        with disk_errors(path):
            path.write_bytes(content)
        yield path


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn an operating system's error while writing into one with a remedy."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{target} could not be written: {error.strerror or error}.",
            "Free some space or choose another place; nothing was changed.",
        ) from error


def _target(path: Path) -> tuple[Path, Path]:
    """Give where a file goes, and the name beside it under which it is written first."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():  # a rename would put a file in place of /dev/null
        raise OSError(errno.EINVAL, "it is no ordinary file")
    target = Path(os.path.realpath(path))  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, target.with_name(f".{target.name}.{os.getpid()}-{threading.get_native_id()}")


def _read(path: Path) -> bytes:
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a pipe or a device may never end
        raise OSError(errno.EINVAL, "it is no ordinary file")
    return path.read_bytes()


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text() or "another process"
    return "another process"


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        _write(folder / name, content)
    _sync(folder)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    # Windows can neither open nor flush a folder.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
