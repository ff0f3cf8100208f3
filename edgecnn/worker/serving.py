"""The worker's own side: what runs in its process."""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from edgecnn import errors
from edgecnn.errors import EdgeCNNError
from edgecnn.runtime import (
    NO_MEMORY,
    OTHER_ENGINE,
    SMALLER_BATCH,
    CheckedSession,
    Variant,
    check_available,
    normalise_provider,
    open_on,
)
from edgecnn.worker import limits
from edgecnn.worker.messages import Failure, Opened, Timed, Usage
from edgecnn.worker.tasks import Prepared, Task

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

_IDLE_STEP_SECONDS = 0.003
_IDLE_SHARE = 0.1  # of a core; looking takes up to 0.03 of one
_SETTLE_SECONDS = 1.0


def serve(handle: int) -> None:
    """Answer requests on a connection until it closes: what a worker's process does.

    Args:
        handle: File descriptor of the worker's end.
    """
    # Ctrl-C reaches every process of the terminal; the one that asked decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(handle,), daemon=True).start()
    limits.begin()
    pipe, held = Connection(handle), _Held()
    while True:
        try:
            request, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_answer(getattr(held, request), arguments))
        if request == "close":
            return


class _Held:
    """The worker's side of each request."""

    def __init__(self) -> None:
        self._session: CheckedSession | None = None
        self._variant: Variant | None = None
        self._batches: list[Arrays] = []
        self._calls: Iterator[Callable[[], object]] = iter(())

    def hello(self) -> None:
        pass

    def open(
        self,
        *,
        variant: Variant,
        runtime: str,
        provider: str | None,
        memory_limit: int | None,
        **how: Any,
    ) -> Opened:
        began = time.perf_counter()
        if provider is not None:
            limits.allow(None, normalise_provider(provider))
        target = check_available(runtime, provider)
        imported = time.perf_counter()
        limits.allow(memory_limit, target.provider)
        session = open_on(target, variant, **how)
        loaded = time.perf_counter()
        self._session, self._variant = session, variant
        return Opened(
            runtime=session.runtime,
            provider=session.provider,
            threads=session.threads,
            inputs=session.inputs,
            outputs=session.outputs,
            versions=target.versions,
            import_seconds=imported - began,
            load_seconds=loaded - imported,
            precision=session.precision,
        )

    def feed(self, *, batches: list[Arrays]) -> float:
        session = self._opened()
        self._batches = batches
        # An engine may compile for the first shapes that it meets.
        began = time.perf_counter()
        first = session.prepare(batches[0])
        seconds = time.perf_counter() - began
        self._calls = cycle([first, *map(session.prepare, batches[1:])])
        gc.collect()
        gc.disable()  # for good: from here on nothing makes rubbish, and a collection takes 10 ms
        return seconds

    def run_for(self, *, seconds: float, at_least: int, lead_seconds: float, settle: bool) -> Timed:
        if lead_seconds > 0:
            time_calls(self._calls, lead_seconds, 1)
        began = time.process_time_ns()
        times = time_calls(self._calls, seconds, at_least)
        ended = time.process_time_ns()
        idle = _settle() if settle else False
        return Timed(times, idle, ended - began, time.process_time_ns() - ended)

    def run_checked(self, *, calls: int) -> tuple[list[int], list[int]]:
        session, batch = self._opened(), self._batches[0]
        checked = cycle([lambda: session.run(batch)])
        bare = cycle([session.prepare(batch)])
        pairs = [(time_calls(checked, 0, 1)[0], time_calls(bare, 0, 1)[0]) for _ in range(calls)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def carry_out(self, *, task: Task[Any]) -> Any:
        assert self._variant is not None, "open comes first"
        return task(Prepared(self._opened(), self._variant, self._batches, self._calls))

    def call(self, *, function: Callable[[], Any]) -> Any:
        return function()

    def outputs(self, *, inputs: Arrays) -> Mapping[str, Any]:
        return self._opened().run(inputs)

    def usage(self) -> Usage:
        resident, peak = limits.status_bytes("VmRSS"), limits.status_bytes("VmHWM")
        return Usage(resident, peak, time.process_time())

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _opened(self) -> CheckedSession:
        assert self._session is not None, "open comes first"
        return self._session


def time_calls(calls: Iterator[Callable[[], object]], seconds: float, at_least: int) -> list[int]:
    """Time calls one by one, for so many seconds and at least so many calls.

    Args:
        calls: What to call, without end.
        seconds: How long to go on.
        at_least: Calls to make even if that takes longer.

    Returns:
        The time of each call, in nanoseconds.
    """
    clock = time.perf_counter_ns
    times: list[int] = []
    deadline = clock() + int(seconds * 1e9)
    for call in calls:
        start = clock()
        call()
        end = clock()
        times.append(end - start)
        if end >= deadline and len(times) >= at_least:
            break
    return times


def _answer(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return method(**arguments)
    except EdgeCNNError as error:
        # A runtime may derive classes of its own, which the other side could not load.
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        requirements = getattr(error, "requirements", ())
        return Failure(known.__name__, error.problem, error.remedy, requirements)
    except MemoryError:
        return Failure("RuntimeCrashed", NO_MEMORY, SMALLER_BATCH, ())
    except Exception as error:
        text = f"The runtime failed: {type(error).__name__}: {error}"
        return Failure("RuntimeCrashed", text, OTHER_ENGINE, ())


def _settle() -> bool:
    # An engine's threads may spin for a while after the last call (ONNX Runtime's do for 30 ms),
    # which would slow down the worker whose turn is next.
    deadline, calm = time.perf_counter() + _SETTLE_SECONDS, 0
    while calm < 2:
        wall, cpu = time.perf_counter(), time.process_time()
        if wall > deadline:
            return False
        time.sleep(_IDLE_STEP_SECONDS)
        used = (time.process_time() - cpu) / (time.perf_counter() - wall)
        calm = calm + 1 if used < _IDLE_SHARE else 0
    return True


def _end_with_parent(handle: int) -> None:
    # Waiting for the hang-up alone costs nothing, and ends a worker that is deep in a call.
    poller = select.poll()
    poller.register(handle, 0)
    poller.poll()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # and what the engine started
    os._exit(1)
