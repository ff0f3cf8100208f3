"""A user's own Python, before it is imported: a script that trains must not run unasked.

A file that only defines things is imported as it is. One that does more is imported in a child
first, with a limit of time.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.nets.scripts import Deed, deeds

# Importing torch takes 2 to 20 s and is not counted; defining a net takes milliseconds.
LIMIT_SECONDS = 20.0
_TORCH_SECONDS = 180.0
_READY = b"ready\n"
_CHILD = """
import os, sys
sys.path[:] = {path!r}
import torch
os.write({handle}, {ready!r})
from edgecnn import shelves
shelves.load_attribute({source!r})
"""


def check_import(source: str, limit: float = LIMIT_SECONDS) -> None:
    """Make sure that a user's file or package can be imported without doing a script's work.

    Args:
        source: `FILE.py:factory` or `package.module:factory`.
        limit: Seconds that importing it may take, once torch is loaded.

    Raises:
        ModelError: It trains when it is imported, takes too long, or crashes Python.
    """
    file = _file(source.partition(":")[0])
    found = deeds(file) if file is not None else []
    for deed in found:
        if deed.trains:
            raise ModelError(
                f"{deed.file} trains when it is imported: line {deed.first} {deed.what}.",
                _remedy(deed),
            )
    if file is not None and found:
        _try_import(source, file, found, limit)


def _file(place: str) -> Path | None:
    """Find the file that a source names; None for what is installed, and for what is not there."""
    if place.endswith(".py"):
        return Path(place).resolve()
    top, *rest = place.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of the first name alone: finding more imports it
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.has_location or _installed(spec.origin):
        return None
    start = Path(spec.origin)
    path = start.parent.joinpath(*rest) if rest else start
    options = (path.with_suffix(".py"), path / "__init__.py", start)
    return next((option.resolve() for option in options if option.is_file()), None)


def _installed(origin: str) -> bool:
    places = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return any(Path(origin).is_relative_to(place) for place in places if place)


def _try_import(source: str, file: Path, found: Sequence[Deed], limit: float) -> None:
    ready, theirs = os.pipe()
    code = _CHILD.format(path=sys.path, handle=theirs, ready=_READY, source=source)
    child = subprocess.Popen(
        [sys.executable, "-B", "-c", code],
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that what it starts can be ended with it
    )
    os.close(theirs)
    try:
        _wait_for_torch(child, ready)
        code_of_exit = child.wait(limit)
    except subprocess.TimeoutExpired:
        deed = max(found, key=lambda each: ("loops" in each.what, each.last - each.first))
        raise ModelError(
            f"{file} still ran {limit:g} s after its import began: it does more than define a net. "
            f"Line {deed.first} of {deed.file.name} {deed.what}.",
            _remedy(deed),
        ) from None
    finally:
        os.close(ready)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if code_of_exit < 0:
        raise ModelError(
            f"{file} crashes Python when it is imported ({signal.Signals(-code_of_exit).name}).",
            "Run it with Python alone to see where.",
        )


def _wait_for_torch(child: subprocess.Popen[bytes], ready: int) -> None:
    import select

    # The end of the pipe says that the child is gone: its exit code tells why.
    if not select.select([ready], [], [], _TORCH_SECONDS)[0]:
        raise subprocess.TimeoutExpired(child.args, _TORCH_SECONDS)


def _remedy(deed: Deed) -> str:
    lines = f"lines {deed.first} to {deed.last}" if deed.last > deed.first else f"line {deed.first}"
    return (
        f'Put {lines} of {deed.file.name} under `if __name__ == "__main__":`, or move the net '
        "to a file of its own."
    )
