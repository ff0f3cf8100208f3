"""Opening a session where it can do no harm: in this process, or in a worker.

ONNX Runtime on the CPU and the reference runtime compute in this process, which answers sooner.
Every other engine is loaded into a worker only, so that a crash there is an error here, and two
engines that clash in one process never meet. The same holds for those two within limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

from edgecnn.errors import RuntimeCrashed
from edgecnn.runtime import (
    Availability,
    CheckedSession,
    Options,
    check_available,
    load_runtime,
    normalise_provider,
    open_session,
)
from edgecnn.spec import Variant
from edgecnn.worker.handle import Worker
from edgecnn.worker.limits import LIMIT_SECONDS, WorkerLimits
from edgecnn.worker.log import Printed
from edgecnn.worker.session import open_in_worker

_PRINTED = 2000  # characters that a report keeps
_TRUSTED = frozenset({"ort", "reference"})  # by these names: a path may lead to anybody's


@dataclass(frozen=True)
class EngineFailure:
    """A model that has no answer because its engine failed.

    Attributes:
        name: The variant's or file's name.
        runtime: The runtime, as it was named.
        provider: Where it was to compute; empty for the runtime's first.
        problem: What happened, as a sentence.
        remedy: What helps.
        printed: The last part of what it printed; empty if nothing.
    """

    name: str
    runtime: str
    provider: str
    problem: str
    remedy: str
    printed: str = ""

    def error(self) -> RuntimeCrashed:
        """Make the error again."""
        error = RuntimeCrashed(self.problem, self.remedy)
        error.__cause__ = Printed(self.printed) if self.printed else None
        return error


class Crashes:
    """Engines that failed while others went on.

    Attributes:
        found: Each failure, in their order.
    """

    def __init__(self) -> None:
        self.found: list[EngineFailure] = []

    @contextmanager
    def noting(self, name: str, runtime: str, provider: str | None) -> Iterator[None]:
        """Keep what crashes inside, and go on behind it."""
        try:
            yield
        except RuntimeCrashed as crash:
            said = str(crash.__cause__) if isinstance(crash.__cause__, Printed) else ""
            what = (crash.problem, crash.remedy, said[-_PRINTED:])
            self.found.append(EngineFailure(name, runtime, provider or "", *what))

    def stop_without(self, answers: Sequence[object]) -> None:
        """Raise the first failure if there was one and nothing else is left."""
        if self.found and not answers:
            raise self.found[0].error()


def computes_here(runtime: str, provider: str | None, limits: WorkerLimits | None = None) -> bool:
    """Say whether a session is opened in this process; otherwise it is in a worker.

    Args:
        runtime: Name or path of the runtime.
        provider: Where to compute; None for the runtime's first provider.
        limits: What it may take, which is held to in workers alone.
    """
    on_cpu = provider is None or normalise_provider(provider) == "cpu"
    return limits is None and runtime in _TRUSTED and on_cpu


def open_guarded(
    variant: Variant,
    *,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
) -> CheckedSession:
    """Open a located variant as `runtime.open_session` does, in a worker if need be.

    Args:
        variant: A variant whose files are paths.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        limits: What it may take. Without any, a worker has those of `WorkerLimits()`.

    Raises:
        RuntimeCrashed: The engine crashed or hung. A run may raise it, too.
        EdgeCNNError: What `runtime.open_session` raises.
    """
    if computes_here(runtime, provider, limits):
        return open_session(
            variant, runtime=runtime, provider=provider, threads=threads, options=options
        )
    given = limits or WorkerLimits()
    return open_in_worker(
        variant,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        limit=given.seconds,
        memory_limit=given.memory,
    )


def check_guarded(
    runtime: str, provider: str | None = None, limits: WorkerLimits | None = None
) -> str:
    """Make sure that a runtime can run on a provider here, without loading its engine here.

    Args:
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        limits: How long it may take.

    Returns:
        The provider by its short name.

    Raises:
        InputError: The runtime is unknown.
        UnavailableError: The runtime or provider is not to be had here.
        RuntimeCrashed: The engine crashed or hung while it was loaded.
    """
    if computes_here(runtime, provider):
        return check_available(runtime, provider).provider
    load_runtime(runtime)
    return _check_in_worker(runtime, provider, (limits or WorkerLimits()).seconds)


@cache  # it takes a process, and is asked again by whoever goes on
def _check_in_worker(runtime: str, provider: str | None, seconds: float) -> str:
    with Worker(seconds) as worker:
        question = partial(_check, runtime, provider)
        return worker.call(question, seconds, what=f"The runtime '{runtime}'")


def _check(runtime: str, provider: str | None) -> str:
    return check_available(runtime, provider).provider


def availabilities(runtime: str, providers: Sequence[str]) -> tuple[Availability, ...]:
    """Ask a runtime whether it can run on each of some providers, without loading its engine here.

    One that crashes, hangs or fails meanwhile cannot.
    """
    if runtime in _TRUSTED:
        return _availabilities(runtime, providers)
    question = partial(_availabilities, runtime, tuple(providers))
    try:
        with Worker() as worker:
            return worker.call(question, LIMIT_SECONDS, what=f"The runtime '{runtime}'")
    except RuntimeCrashed as crash:
        lost = Availability(ok=False, reason=crash.problem, remedy=crash.remedy)
        return (lost,) * len(providers)


def _availabilities(runtime: str, providers: Sequence[str]) -> tuple[Availability, ...]:
    adapter = load_runtime(runtime)
    return tuple(map(adapter.availability, providers))
