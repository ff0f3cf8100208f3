"""The roofs of this machine's roofline, measured here by the runtime that will be profiled.

S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model for
multicore architectures, Communications of the ACM 52 (2009). As in the Empirical Roofline Toolkit,
a roof is the best that was seen, not what a data sheet says: a matrix product for arithmetic, and
`bandwidth` for memory. So a layer's share of it says what this engine could still gain here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean, median
from typing import Any

from edgecnn.disk import cache_folder, temporary_folder, write_atomically
from edgecnn.errors import InputError
from edgecnn.machine import this_machine
from edgecnn.profiling.bandwidth import memory_peaks
from edgecnn.profiling.models import SIZE, chains, product
from edgecnn.profiling.report import Peak, Peaks
from edgecnn.profiling.timing import interquartile_mean, read_profile
from edgecnn.records import from_json, sha256, to_json
from edgecnn.runtime import load_runtime, profile_options
from edgecnn.spec import Variant
from edgecnn.worker import Worker

_LAYOUT = 1  # of the cache file
_SECONDS = 0.25
_FEW, _MANY = 4, 64
# The profile's clock ticks in microseconds: operators of many lengths fall anywhere between ticks.
_LENGTHS = tuple(round(1.75**step) for step in range(1, 15))
_PROFILED_RUNS = 40


@dataclass(frozen=True)
class _Place:
    """A worker, and the runtime that it opens one model after another on."""

    worker: Worker
    runtime: str
    provider: str
    threads: int
    options: Mapping[str, str]


def find_peaks(
    runtime: str,
    provider: str,
    threads: int,
    versions: Mapping[str, str],
    options: Mapping[str, str],
    *,
    anew: bool = False,
) -> Peaks:
    """Give the peaks of this machine by so many threads: kept from an earlier run, or measured.

    They are kept in the user's cache folder under a fingerprint of the machine and the runtime's
    versions. What cannot be written is not kept.

    Args:
        runtime: Name or path of the runtime.
        provider: Where it computes.
        threads: How many.
        versions: Versions of the packages that the runtime uses.
        options: The runtime's own options.
        anew: Measure them even if they are kept.
    """
    machine = this_machine()
    what = (_LAYOUT, runtime, provider, threads, dict(versions), dict(options), machine)
    path = cache_folder() / f"peaks-{sha256(to_json(what))[:16]}.json"
    kept = None if anew else _kept(path)
    if kept:
        return kept
    peaks = measure_peaks(runtime, provider, threads, versions, options)
    try:
        write_atomically(path, to_json(peaks))
    except InputError:
        return peaks  # a cache may always be missing
    return peaks


def _kept(path: Path) -> Peaks | None:
    try:
        return replace(from_json(Peaks, path.read_bytes(), where=str(path)), cached=True)
    except (OSError, InputError):
        return None  # none, or of another version, or damaged: it is measured anew


def measure_peaks(
    runtime: str,
    provider: str,
    threads: int,
    versions: Mapping[str, str],
    options: Mapping[str, str],
) -> Peaks:
    """Measure the peaks of this machine; it takes about three seconds.

    Raises:
        UnavailableError: The runtime is not to be had, or does not time its operators.
        RuntimeCrashed: It crashed.
    """
    with temporary_folder() as folder, Worker() as worker:
        place = _Place(worker, runtime, provider, threads, options)
        arithmetic = tuple(_arithmetic(place, folder, integer) for integer in (False, True))
        call, dispatch = _call_and_dispatch(place, folder)
        clock = _clock(place, folder, call)
    return Peaks(
        threads=threads,
        runtime=" ".join([runtime, *versions.values()]),
        cpu=this_machine().cpu,
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        cached=False,
        arithmetic=arithmetic,
        memory=memory_peaks(threads),
        dispatch_seconds=dispatch,
        call_seconds=call,
        clock_seconds=clock,
    )


def _arithmetic(place: _Place, folder: Path, integer: bool) -> Peak:
    rows = SIZE * place.threads
    times = _times(place, *product(folder, rows, integer=integer))
    operations = 2 * rows * SIZE * SIZE
    kind = "uint8 by int8" if integer else "float32"
    return Peak(
        what="int8" if integer else "fp32",
        rate=operations / min(times) * 1e9,
        spread=1 - min(times) / median(times),
        how=f"matrix product of {rows}x{SIZE} by {SIZE}x{SIZE}, {kind}, in {place.runtime}",
    )


def _call_and_dispatch(place: _Place, folder: Path) -> tuple[float, float]:
    """Give the seconds of a call without operators, and of an operator that has nothing to do."""
    few, many = (
        interquartile_mean(_times(place, *chains(folder, (1,), operators=count))) / 1e9
        for count in (_FEW, _MANY)
    )
    each = max(0.0, (many - few) / (_MANY - _FEW))
    return max(0.0, few - _FEW * each), each


def _clock(place: _Place, folder: Path, call: float) -> float:
    """Give the seconds that the profile adds to an operator's time, less half a tick."""
    variant, given = chains(folder, _LENGTHS, operators=8)
    bare = interquartile_mean(_times(place, variant, given)) / 1e9 - call
    more = profile_options(load_runtime(place.runtime))
    profiling = replace(place, options={**place.options, **more})
    worker = _opened(profiling, variant, given)
    worker.run(_PROFILED_RUNS)
    operators = worker.carry_out(read_profile)
    shown = [interquartile_mean(each.times_ns) / 1e9 for each in operators]
    return max(0.0, fmean(shown) - bare / len(shown)) if shown else 0.0


def _times(place: _Place, variant: Variant, given: Mapping[str, Any]) -> Sequence[int]:
    worker = _opened(place, variant, given)
    worker.run_for(_SECONDS / 4, at_least=3, settle=False)
    return worker.run_for(_SECONDS, at_least=20).times_ns


def _opened(place: _Place, variant: Variant, given: Mapping[str, Any]) -> Worker:
    place.worker.open(
        variant,
        runtime=place.runtime,
        provider=place.provider,
        threads=place.threads,
        options=dict(place.options),
    )
    place.worker.feed([given])
    return place.worker
