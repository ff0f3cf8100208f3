"""A runtime with trouble, on demand: it crashes, hangs, raises or takes its time.

Options:
    what: `segfault`, `abort`, `kill`, `exit`, `hang`, `raise`, `refuse`, `memory` (there is none),
        `leak` (memory without end), `flood` (print without end), `chatter` (some MB of print, then
        all goes well), or `nothing`.
    when: `open` or `run` (default).
    after: Runs that go well before it happens; 0 by default.
    delay: Seconds that each run takes; 0 by default.
    growth: By how much longer each run takes than the one before, as a share; 0 by default.
    classes: Scores for each image, so that it can be evaluated; a single sum by default.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from edgecnn.errors import Requirement, UnavailableError
from edgecnn.runtime import Availability, Options, TensorSpec, Variant

NAME = "troubled"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)


class NoLuck(UnavailableError):
    """A class that edgecnn does not know."""


class TroubledSession:
    provider = "cpu"
    inputs = (TensorSpec("pixels", "uint8", ("N", "height", "width", 3)),)
    outputs = (TensorSpec("sum", "float32", ("N",)),)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._runs = 0
        self._classes = int(options.get("classes", "0"))
        if self._classes:
            self.outputs = (TensorSpec("scores", "float32", ("N", self._classes)),)

    def run(self, inputs: Any) -> dict[str, Any]:
        growth = (1 + float(self._options.get("growth", "0"))) ** self._runs
        time.sleep(growth * float(self._options.get("delay", "0")))
        if self._runs >= int(self._options.get("after", "0")):
            _happen(self._options.get("what", "nothing"))
        self._runs += 1
        sums = inputs["pixels"].sum(axis=(1, 2, 3), dtype="float32")
        if not self._classes:
            return {"sum": sums}
        return {"scores": (sums[:, None] % range(2, self._classes + 2)).astype("float32")}

    def prepare(self, inputs: Any) -> Callable[[], object]:
        return partial(self.run, inputs)

    def close(self) -> None:
        print("closed", file=sys.stderr)


def availability(provider: str) -> Availability:
    return Availability(ok=provider == "cpu", reason=f"No '{provider}' here.", versions={"t": "1"})


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> TroubledSession:
    print("an engine that talks")
    # A variant may bring its trouble with it, so that one of several can fail.
    options = {**variant.settings, **options}
    if options.get("when") == "open":
        _happen(options["what"])
    later = {**options, "what": "nothing"} if options.get("when") == "open" else options
    return TroubledSession(later)


def _happen(what: str) -> None:
    print("here it comes", file=sys.stderr, flush=True)
    if what == "segfault":
        ctypes.string_at(0)
    elif what == "abort":
        os.abort()
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        os._exit(7)
    elif what == "hang":
        time.sleep(3600)
    elif what == "leak":
        held = []
        while True:
            held.append(bytearray(1 << 24))
    elif what == "flood":
        while True:
            os.write(1, b"more and more\n" * 10_000)
    elif what == "chatter":
        os.write(1, b"a line of C\n" * 300_000)
        print("a line of Python\n" * 100_000)
    elif what == "raise":
        raise ValueError("no such kernel")
    elif what == "memory":
        raise MemoryError
    elif what == "refuse":
        raise NoLuck("No luck.", "Buy some.", (Requirement("luck", "some", "none", False),))
