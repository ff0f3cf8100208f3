"""The side of the process that asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any

from edgecnn.closing import Closing
from edgecnn.errors import RuntimeCrashed
from edgecnn.runtime import OTHER_ENGINE, Options, Variant
from edgecnn.worker.messages import Failure, Opened, Timed, Usage
from edgecnn.worker.tasks import Found, Task

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

LIMIT_SECONDS = 120.0  # for one request, on top of the time that it asks for


class Worker(Closing):
    """A process that holds one session. Use it in a `with`, or `close()` it.

    Every request raises the EdgeCNNError that was raised in the worker, and RuntimeCrashed if the
    worker died or did not answer in time; it is then gone for good.

    Args:
        limit: Seconds after which a request that has no answer counts as a hang.
        memory_limit: Bytes that a session may take there, beyond Python and the engine; no limit
            by default. What asks for more fails, in that process alone.
        cores: CPUs that it may use, all of them ones that this process may use; by default as this
            process. They are set before the runtime is imported, which may count them.
        launcher: Words in front of the worker's command line, such as an emulator's.
        environment: Its environment variables; those of this process by default.

    Attributes:
        start_seconds: From starting the process until Python and edgecnn were up in it.
    """

    def __init__(
        self,
        limit: float = LIMIT_SECONDS,
        memory_limit: int | None = None,
        cores: Collection[int] | None = None,
        launcher: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._limit = limit
        self._memory_limit = memory_limit
        self._subject = "The worker"
        self._begun = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- _end() closes it
        began = time.perf_counter()
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [*launcher, *_command(theirs.fileno(), cores)],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # a group of its own, so that what it starts ends with it
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
            memory_limit=self._memory_limit,
        )
        return opened

    def feed(self, batches: Sequence[Arrays]) -> None:
        """Give the inputs that the timed calls take in turn."""
        self._ask("feed", batches=[dict(batch) for batch in batches])

    def run(self, calls: int) -> Timed:
        """Time so many calls of the engine, one after the other."""
        return self.run_for(0.0, at_least=calls)

    def run_for(
        self,
        seconds: float,
        *,
        at_least: int = 1,
        lead_seconds: float = 0.0,
        settle: bool = True,
    ) -> Timed:
        """Time calls of the engine for so many seconds.

        Args:
            seconds: How long to go on.
            at_least: Calls to make even if that takes longer.
            lead_seconds: How long to call before timing begins; at least one call if above 0.
            settle: Wait until the engine's threads are idle, so that another worker may begin.
        """
        limit = self._limit + seconds + lead_seconds
        timed: Timed = self._ask(
            "run_for",
            limit,
            seconds=seconds,
            at_least=at_least,
            lead_seconds=lead_seconds,
            settle=settle,
        )
        return timed

    def run_checked(self, calls: int) -> tuple[list[int], list[int]]:
        """Time calls with edgecnn's own checks and without, in turn; both in nanoseconds."""
        times: tuple[list[int], list[int]] = self._ask("run_checked", calls=calls)
        return times

    def carry_out(self, task: Task[Found], seconds: float = 0.0) -> Found:
        """Have a task done there with the session; `begin` and `result` in one.

        Args:
            task: A function at the head of a module, or a `functools.partial` of one.
            seconds: How long it takes; the worker's limit comes on top.
        """
        self.begin(task)
        found: Found = self.result(seconds)
        return found

    def begin(self, task: Task[Any]) -> None:
        """Have a task begun there, and go on here; `result` is what has to be asked next."""
        self._send("carry_out", task=task)
        self._begun = True

    def result(self, seconds: float = 0.0) -> Any:
        """Wait for the task that was begun, and give what it gives back."""
        try:
            return self._receive(self._limit + seconds)
        finally:
            self._begun = False

    def call(self, function: Callable[[], Found], seconds: float = 0.0, *, what: str) -> Found:
        """Have a function called there, without a session.

        Args:
            function: A `functools.partial` of a function at the head of a module.
            seconds: How long it takes; the worker's limit comes on top.
            what: What is done, for errors, such as `The conversion to ncnn`.
        """
        self._subject = what
        found: Found = self._ask("call", self._limit + seconds, function=function)
        return found

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
        if not self._pipe.closed and not self._begun:
            with suppress(RuntimeCrashed):
                self._ask("close", 5.0)
        self._end()

    def _ask(self, request: str, limit: float | None = None, **arguments: Any) -> Any:
        self._send(request, **arguments)
        return self._receive(self._limit if limit is None else limit)

    def _send(self, request: str, **arguments: Any) -> None:
        if self._pipe.closed:
            raise RuntimeCrashed(f"{self._subject} has ended already.", "Open another worker.")
        try:
            self._pipe.send((request, arguments))
        except (EOFError, OSError):
            raise self._crashed() from None
        except BaseException:
            self._end()  # half a request may have gone
            raise

    def _receive(self, limit: float) -> Any:
        try:
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
                f"{self._subject} hung: no answer within {limit:g} s.", OTHER_ENGINE
            )
        if isinstance(answer, Failure):
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
        return RuntimeCrashed(f"{self._subject} {ending}.{said}", OTHER_ENGINE)

    def _end(self) -> None:
        self._pipe.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()


def _command(handle: int, cores: Collection[int] | None) -> list[str]:
    # Not `-m`, which would look into the working folder first: a user's numpy.py may lie there.
    start = f"import sys; sys.path[:] = {sys.path!r}; from edgecnn.worker.serving import serve"
    if cores is not None:
        start = f"import os; os.sched_setaffinity(0, {sorted(cores)}); {start}"
    return [sys.executable, "-c", f"{start}; serve({handle})"]


def _ending(code: int | None) -> str:
    if code is None:
        return "closed its connection and did not end"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name
    likely = ", probably for want of memory" if name == "SIGKILL" else ""
    return f"crashed ({name}{likely})"
