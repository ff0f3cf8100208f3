"""Proving where the operators of a variant are computed, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgecnn.errors import UnavailableError
from edgecnn.placement import Needed, Placement, check_placement
from edgecnn.runtime import Options, Variant, load_runtime, normalise_provider
from edgecnn.worker import Opened, Prepared, Worker, WorkerLimits

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays

_ALWAYS_ALL = "cpu"  # nothing is left to another provider there


def prove_placement(
    variant: Variant,
    batches: Callable[[Opened], Sequence[Mapping[str, Any]]],
    *,
    min_coverage: float | None = None,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
) -> Placement | None:
    """Prove that a runtime computes a variant on the provider that was asked for, as far as needed.

    Args:
        variant: A located variant.
        batches: Makes inputs, once it is known what goes in; the first of them is run.
        min_coverage: The share (0 to 1) of the time that must be spent there, where the options
            allow the runtime to leave operators to the CPU. Where they do not, it is everything.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        options: The runtime's own options, as they will be measured.
        limits: What the session may take.

    Returns:
        Where the operators are computed. None on the CPU, where there is nothing to prove, and
        where the runtime does not tell and nothing but its word is asked for.

    Raises:
        UnavailableError: Too little is computed there, or a share is needed and the runtime tells
            none.
        EdgeCNNError: What `runtime.open_session` raises.
    """
    needed = Needed.of(options, min_coverage)
    # What a worker is for: the engine itself is not imported here.
    where = normalise_provider(provider or load_runtime(runtime).PROVIDERS[0])
    if where == _ALWAYS_ALL and needed.everything:
        return None
    given = limits or WorkerLimits()
    with Worker(given.seconds, given.memory, environment=_environment()) as worker:
        opened = worker.open(
            variant, runtime=runtime, provider=where, threads=threads, options=options
        )
        worker.feed(batches(opened)[:1])
        placement: Placement | None = worker.carry_out(_read)
    if placement is not None:
        check_placement(placement, needed, variant.name)
    elif needed.min_coverage is not None:
        raise UnavailableError(
            f"The runtime '{opened.runtime}' does not tell where its operators are computed.",
            "Leave --min-coverage out, or use --runtime ort.",
        )
    return placement


def _read(prepared: Prepared) -> Placement | None:
    batch: Arrays = prepared.batches[0]
    return prepared.session.placement(batch)


def _environment() -> dict[str, str]:
    # Otherwise a GPU's operators are timed until they are started, not until they are done.
    return {**os.environ, "CUDA_LAUNCH_BLOCKING": "1"}
