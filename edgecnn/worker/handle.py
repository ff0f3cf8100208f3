"""The side of the process that asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any, TypeVar

from edgecnn.closing import Closing
from edgecnn.errors import EdgeCNNError, RuntimeCrashed
from edgecnn.runtime import NO_MEMORY, OTHER_ENGINE, Options, Variant
from edgecnn.worker.limits import LIMIT_SECONDS
from edgecnn.worker.log import Log, Printed
from edgecnn.worker.messages import Failure, Opened, Timed, Usage
from edgecnn.worker.tasks import Found, Task

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

Error = TypeVar("Error", bound=EdgeCNNError)

_LOOK_SECONDS = 0.2  # between two looks at how much was printed
_MOST_PRINTED = 64_000_000  # bytes, while one request is answered


class Worker(Closing):
    """A process that holds one session. Use it in a `with`, or `close()` it.

    Every request raises the EdgeCNNError that was raised in the worker, and RuntimeCrashed if the
    worker died or did not answer in time; it is then gone for good.

    Args:
        limit: Seconds after which a request that has no answer counts as a hang.
        memory_limit: Bytes that a session may take there, beyond Python and the engine; by default
            what is free on the CPU. What asks for more fails, in that process alone.
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
        self._log = Log()
        began = time.perf_counter()
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [*launcher, *_command(theirs.fileno(), cores)],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log.fileno(),
            stderr=self._log.fileno(),
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

    def feed(self, batches: Sequence[Arrays]) -> float:
        """Give the inputs that the timed calls take in turn.

        Returns:
            Seconds that preparing the first of them took: an engine may compile for its shape.
        """
        seconds: float = self._ask("feed", batches=[dict(batch) for batch in batches])
        return seconds

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

    def call(self, function: Callable[[], Found], seconds: float, *, what: str) -> Found:
        """Have a function called there, without a session.

        Args:
            function: A `functools.partial` of a function at the head of a module.
            seconds: How long it may take, all in all.
            what: What is done, for errors, such as `The conversion to ncnn`.
        """
        self._subject = what
        found: Found = self._ask("call", seconds, function=function)
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
        self._log.cut()
        try:
            self._pipe.send((request, arguments))
        except (EOFError, OSError):
            raise self._crashed()  # noqa: B904 -- its cause is what was printed
        except BaseException:
            self._end()  # half a request may have gone
            raise

    def _receive(self, limit: float) -> Any:
        try:
            trouble = self._wait(limit)
            answer = None if trouble else self._pipe.recv()
        except (EOFError, OSError):
            raise self._crashed()  # noqa: B904 -- its cause is what was printed
        except BaseException:
            self._end()  # its answer would be taken for that to the next request
            raise
        if trouble:
            raise self._gone(trouble)
        if isinstance(answer, Failure):
            error = answer.error()
            if error.problem == NO_MEMORY:
                error = self._without_memory(error.remedy)
            raise self._with_log(error)
        return answer

    def _wait(self, limit: float) -> str:
        """Wait for an answer; give what became of it in words, none if it is there."""
        deadline = time.monotonic() + limit
        while not self._pipe.poll(max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic()))):
            if self._log.size > _MOST_PRINTED:
                return f"printed without end, more than {_MOST_PRINTED / 1e6:g} MB"
            if time.monotonic() >= deadline:
                return f"hung: no answer within {limit:g} s"
        return ""

    def _crashed(self) -> RuntimeCrashed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        ending = _ending(self._process.returncode)
        allowed = f", with {self._allowed()} of memory at most" if self._memory_limit else ""
        return self._gone(ending + allowed)

    def _without_memory(self, remedy: str) -> RuntimeCrashed:
        who = self._subject[0].lower() + self._subject[1:]
        allowed = f", which may take {self._allowed()}" if self._memory_limit else ""
        return RuntimeCrashed(f"The memory ran out for {who}{allowed}.", remedy)

    def _allowed(self) -> str:
        from edgecnn.graph.limits import size_text

        return size_text(self._memory_limit or 0)

    def _gone(self, trouble: str) -> RuntimeCrashed:
        text = f"{self._subject} {trouble}.{self._log.last_words()}"
        error = self._with_log(RuntimeCrashed(text, OTHER_ENGINE))
        self._end()
        return error

    def _with_log(self, error: Error) -> Error:
        text = self._log.tail()
        error.__cause__ = Printed(text) if text else None
        return error

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
