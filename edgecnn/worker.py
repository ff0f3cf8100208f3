"""The worker: a process of its own that holds one session and times it.

What is measured runs there, alone. If the engine crashes, hangs or eats the memory, the worker
ends and this process is told so; if this process ends, so does the worker. Between two requests a
worker waits without using the CPU, so that several can be alive side by side and take turns.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgecnn import errors
from edgecnn.errors import EdgeCNNError, Requirement, RuntimeCrashed, UnavailableError
from edgecnn.runtime import (
    CheckedSession,
    Options,
    TensorSpec,
    Variant,
    check_available,
    open_on,
)

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

LIMIT_SECONDS = 120.0  # for one request, on top of the time that it asks for
_IDLE_STEP_SECONDS = 0.003
_IDLE_SHARE = 0.1  # of a core; looking takes up to 0.03 of one
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Opened:
    """What a worker opened, and how long each part of it took.

    Attributes:
        runtime: The runtime's name.
        provider: Where it computes, as the runtime reports it.
        threads: Threads within an operator.
        inputs: What goes in.
        outputs: What comes out.
        versions: Versions of the packages that the runtime uses.
        import_seconds: Loading the adapter and its engine.
        load_seconds: Making the session from the file.
    """

    runtime: str
    provider: str
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str]
    import_seconds: float
    load_seconds: float


@dataclass(frozen=True)
class Timed:
    """Calls that were timed one by one.

    Attributes:
        times_ns: Time of each call, in nanoseconds.
        idle: Afterwards the engine's threads stopped using the CPU.
    """

    times_ns: list[int]
    idle: bool


@dataclass(frozen=True)
class Usage:
    """What a worker has used so far: Python, the engine and the model together.

    Attributes:
        resident_bytes: Memory that is resident now; 0 if unknown.
        peak_bytes: The most that ever was; 0 if unknown.
        cpu_seconds: CPU time of all its threads.
    """

    resident_bytes: int
    peak_bytes: int
    cpu_seconds: float


class Worker:
    """A process that holds one session. Use it in a `with`, or `close()` it.

    Every request raises the EdgeCNNError that was raised in the worker, and RuntimeCrashed if the
    worker died or did not answer in time; it is then gone for good.

    Args:
        limit: Seconds after which a request that has no answer counts as a hang.

    Attributes:
        start_seconds: From starting the process until Python and edgecnn were up in it.
    """

    def __init__(self, limit: float = LIMIT_SECONDS) -> None:
        self._limit = limit
        self._subject = "The worker"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- _end() closes it
        began = time.perf_counter()
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            _command(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        theirs.close()
        self._ask("hello")
        self.start_seconds = time.perf_counter() - began

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def open(
        self,
        variant: Variant,
        *,
        runtime: str = "ort",
        provider: str | None = None,
        threads: int | None = None,
        options: Options | None = None,
    ) -> Opened:
        """Open a located variant there; the arguments are those of `runtime.open_session`."""
        self._subject = f"The runtime '{runtime}' with '{variant.name}'"
        opened: Opened = self._ask(
            "open",
            variant=variant,
            runtime=runtime,
            provider=provider,
            threads=threads,
            options=dict(options or {}),
        )
        return opened

    def feed(self, batches: Sequence[Arrays]) -> None:
        """Give the inputs that the timed calls take in turn."""
        self._ask("feed", batches=[dict(batch) for batch in batches])

    def run(self, calls: int) -> Timed:
        """Time so many calls of the engine, one after the other."""
        return self.run_for(0.0, at_least=calls)

    def run_for(self, seconds: float, *, at_least: int = 1, lead_seconds: float = 0.0) -> Timed:
        """Time calls of the engine for so many seconds.

        Args:
            seconds: How long to go on.
            at_least: Calls to make even if that takes longer.
            lead_seconds: How long to call before timing begins; at least one call if above 0.
        """
        limit = self._limit + seconds + lead_seconds
        timed: Timed = self._ask(
            "run_for", limit, seconds=seconds, at_least=at_least, lead_seconds=lead_seconds
        )
        return timed

    def run_checked(self, calls: int) -> tuple[list[int], list[int]]:
        """Time calls with edgecnn's own checks and without, in turn; both in nanoseconds."""
        times: tuple[list[int], list[int]] = self._ask("run_checked", calls=calls)
        return times

    def outputs(self, inputs: Arrays) -> dict[str, Any]:
        """Compute the outputs for some inputs, by name."""
        outputs: dict[str, Any] = self._ask("outputs", inputs=dict(inputs))
        return outputs

    def usage(self) -> Usage:
        """Say what memory and CPU time the worker has used so far."""
        usage: Usage = self._ask("usage")
        return usage

    def close(self) -> None:
        """End the process."""
        if not self._pipe.closed:
            with suppress(RuntimeCrashed):
                self._ask("close", 5.0)
        self._end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: str, limit: float | None = None, **arguments: Any) -> Any:
        if self._pipe.closed:
            raise RuntimeCrashed(f"{self._subject} has ended already.", "Open another worker.")
        limit = self._limit if limit is None else limit
        try:
            self._pipe.send((request, arguments))
            answered = self._pipe.poll(limit)
            answer = self._pipe.recv() if answered else None
        except (EOFError, OSError):
            raise self._crashed() from None
        except BaseException:
            self._end()  # its answer would be taken for that to the next request
            raise
        if not answered:
            self._end()
            raise RuntimeCrashed(
                f"{self._subject} hung: no answer within {limit:g} s.", _OTHER_ENGINE
            )
        if isinstance(answer, _Failure):
            raise answer.error()
        return answer

    def _crashed(self) -> RuntimeCrashed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        ending = _ending(self._process.returncode)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        said = f" Its last words: {lines[-1].strip()}" if lines else ""
        self._end()
        return RuntimeCrashed(f"{self._subject} {ending}.{said}", _OTHER_ENGINE)

    def _end(self) -> None:
        self._pipe.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


_OTHER_ENGINE = "Try another --runtime or --provider; `edgecnn doctor` lists those that are here."


def serve(handle: int) -> None:
    """Answer requests on a connection until it closes: what a worker's process does.

    Args:
        handle: File descriptor of the worker's end.
    """
    # Ctrl-C reaches every process of the terminal; the one that asked decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(handle,), daemon=True).start()
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
        self._batches: list[Arrays] = []
        self._calls: Iterator[Callable[[], object]] = iter(())

    def hello(self) -> None:
        pass

    def open(self, *, variant: Variant, runtime: str, provider: str | None, **how: Any) -> Opened:
        began = time.perf_counter()
        target = check_available(runtime, provider)
        imported = time.perf_counter()
        session = open_on(target, variant, **how)
        loaded = time.perf_counter()
        self._session = session
        return Opened(
            runtime=session.runtime,
            provider=session.provider,
            threads=session.threads,
            inputs=session.inputs,
            outputs=session.outputs,
            versions=target.versions,
            import_seconds=imported - began,
            load_seconds=loaded - imported,
        )

    def feed(self, *, batches: list[Arrays]) -> None:
        session = self._opened()
        self._batches = batches
        self._calls = cycle([session.prepare(batch) for batch in batches])
        gc.collect()
        gc.disable()  # for good: from here on nothing makes rubbish, and a collection takes 10 ms

    def run_for(self, *, seconds: float, at_least: int, lead_seconds: float) -> Timed:
        if lead_seconds > 0:
            time_calls(self._calls, lead_seconds, 1)
        return Timed(time_calls(self._calls, seconds, at_least), _settle())

    def run_checked(self, *, calls: int) -> tuple[list[int], list[int]]:
        session, batch = self._opened(), self._batches[0]
        checked = cycle([lambda: session.run(batch)])
        bare = cycle([session.prepare(batch)])
        pairs = [(time_calls(checked, 0, 1)[0], time_calls(bare, 0, 1)[0]) for _ in range(calls)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def outputs(self, *, inputs: Arrays) -> Mapping[str, Any]:
        return self._opened().run(inputs)

    def usage(self) -> Usage:
        return Usage(_status_bytes("VmRSS"), _status_bytes("VmHWM"), time.process_time())

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


@dataclass(frozen=True)
class _Failure:
    kind: str
    problem: str
    remedy: str
    requirements: tuple[Requirement, ...]

    def error(self) -> EdgeCNNError:
        kind = getattr(errors, self.kind)
        extra = {"requirements": self.requirements} if kind is UnavailableError else {}
        error: EdgeCNNError = kind(self.problem, self.remedy, **extra)
        return error


def _answer(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return method(**arguments)
    except EdgeCNNError as error:
        # A runtime may derive classes of its own, which the other side could not load.
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        requirements = getattr(error, "requirements", ())
        return _Failure(known.__name__, error.problem, error.remedy, requirements)
    except MemoryError:
        return _Failure("RuntimeCrashed", "The memory ran out.", "Use a smaller --batch-size.", ())
    except Exception as error:
        text = f"The runtime failed: {type(error).__name__}: {error}"
        return _Failure("RuntimeCrashed", text, _OTHER_ENGINE, ())


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
    os._exit(1)


def _command(handle: int) -> list[str]:
    # Not `-m`, which would look into the working folder first: a user's numpy.py may lie there.
    start = f"import sys; sys.path[:] = {sys.path!r}; from edgecnn.worker import serve"
    return [sys.executable, "-c", f"{start}; serve({handle})"]


def _ending(code: int | None) -> str:
    if code is None:
        return "closed its connection and did not end"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name
    likely = ", probably for want of memory" if name == "SIGKILL" else ""
    return f"crashed ({name}{likely})"


def _status_bytes(key: str) -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0
