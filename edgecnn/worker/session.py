"""A session whose engine runs in a worker: a crash there is an error here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from edgecnn.runtime import CheckedSession, Options
from edgecnn.spec import Variant
from edgecnn.worker.handle import Worker
from edgecnn.worker.limits import LIMIT_SECONDS
from edgecnn.worker.messages import Opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.runtime import Arrays


class _InAWorker:
    """A runtime's session, as the contract asks, in a process of its own."""

    def __init__(self, worker: Worker, opened: Opened) -> None:
        self._worker = worker
        self.provider = opened.provider
        self.precision = opened.precision
        self.inputs = opened.inputs
        self.outputs = opened.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        return self._worker.outputs(inputs)

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give the whole call, passing the arrays on included: no benchmark takes it."""
        return partial(self.run, inputs)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


def open_in_worker(
    variant: Variant,
    *,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    limit: float = LIMIT_SECONDS,
    memory_limit: int | None = None,
    launcher: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> CheckedSession:
    """Open a located variant as `runtime.open_session` does, but in a worker; closing ends it.

    Args:
        variant: A variant whose files are paths.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options.
        limit: Seconds after which opening or a run that has no answer counts as a hang.
        memory_limit: Bytes that the session may take, beyond Python and the engine; by default
            what is free.
        launcher: As in `Worker`.
        environment: As in `Worker`.

    Raises:
        RuntimeCrashed: The engine crashed or hung. A run may raise it, too.
        EdgeCNNError: What `runtime.open_session` raises.
    """
    worker = Worker(limit, memory_limit, launcher=launcher, environment=environment)
    try:
        opened = worker.open(
            variant, runtime=runtime, provider=provider, threads=threads, options=options
        )
    except BaseException:
        worker.close()
        raise
    return CheckedSession(_InAWorker(worker, opened), opened.runtime, opened.threads, options)
