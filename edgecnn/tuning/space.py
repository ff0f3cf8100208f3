"""What can be tried here: runtimes, variants, threads, precisions, and the runtimes' own options.

Everything is found by the contract of a runtime. A runtime on the shelf that is not installed, or
that reads none of the bundle's variants, is left out, and it is said why and what helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from edgecnn import shelves
from edgecnn.bundle import Bundle
from edgecnn.conditions.cores import allowed_cpus, physical_cores
from edgecnn.deployment import USUAL_RUNTIME
from edgecnn.errors import BundleError, EdgeCNNError, InputError, UnavailableError
from edgecnn.formats import readers, usual_reader
from edgecnn.machine import allowed_cores
from edgecnn.options import FP32, PRECISION
from edgecnn.runtime import Availability, load_runtime, most_threads, normalise_provider
from edgecnn.spec import Variant
from edgecnn.tuning.report import Candidate, LeftOut
from edgecnn.worker import availabilities

_JUDGE = "reference"  # made to be right, not fast


@dataclass(frozen=True)
class Wishes:
    """What narrows the search; empty or None for all that there is.

    Attributes:
        runtimes: Names or paths of runtimes.
        variants: Names of variants.
        provider: Where to compute.
        threads: Threads within an operator.
        precision: What float32 operators compute in.
        reduced: Less than full float32 may be tried.
        batch_size: Images in one call.
    """

    runtimes: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    provider: str | None = None
    threads: int | None = None
    precision: str | None = None
    reduced: bool = False
    batch_size: int = 1


@dataclass(frozen=True)
class Space:
    """What can be tried.

    Attributes:
        default: What runs where nobody tunes: the fp32 variant on ONNX Runtime's CPU provider, as
            that is by itself.
        engines: Every variant on every runtime, provider, number of threads and precision, with
            the runtimes' options as they are by themselves; the default is not among them.
        left_out: What is no candidate, and why.
        versions: Versions of the packages that each runtime uses.
    """

    default: Candidate
    engines: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class _Notes:
    left_out: list[LeftOut] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    lacking: dict[str, Availability] = field(default_factory=dict)  # by runtime
    computing: set[str] = field(default_factory=set)  # runtimes with a provider
    precisions: set[str] = field(default_factory=set)  # that those offer


def find_space(bundle: Bundle, wishes: Wishes) -> Space:
    """Find what can be tried here.

    Raises:
        BundleError: There is no variant, or none of a name that was wished for.
        InputError: A runtime that was wished for does not exist, or nothing is left to try.
        UnavailableError: A runtime that was wished for, or the default's, is not to be had here;
            or none is that computes on the provider that was wished for.
    """
    _refuse_threads(wishes)
    for name in wishes.variants:
        bundle.variant(name)
    notes = _Notes()
    variants = list(_usable(bundle, wishes, notes))
    default, found = _default(bundle, wishes, notes), list[Candidate]()
    for name in wishes.runtimes or shelves.runtime_names():
        found += _on_runtime(bundle, name, variants, wishes, notes)
    if not found:
        _refuse_nothing(wishes, notes)
    precisions = {variant.name: variant.precision for variant in variants}
    engines = [each for each in found if each.name != default.name]
    # First those that are likely to win: the time may not suffice for all.
    engines.sort(
        key=lambda each: (
            each.precision != FP32,
            precisions[each.variant] == "fp32",
            each.runtime != USUAL_RUNTIME,
        )
    )
    return Space(default, tuple(engines), tuple(notes.left_out), notes.versions)


def neighbours(candidate: Candidate) -> tuple[Candidate, ...]:
    """Give a candidate with each of its runtime's tuned options changed, one at a time."""
    adapter: Any = load_runtime(candidate.runtime)
    choices = _choices(adapter, candidate.provider)
    tuned = [name for name in getattr(adapter, "TUNED", ()) if name in choices]
    open_ = {name: choices[name][1:] for name in tuned if name not in candidate.options}
    # Each option's second choice first: the time may not suffice for all.
    by_place = zip_longest(*([(name, value) for value in open_[name]] for name in open_))
    changes = [pair for place in by_place for pair in place if pair is not None]
    return tuple(
        replace(candidate, options={**candidate.options, name: value}) for name, value in changes
    )


def thread_counts(cores: int) -> tuple[int, ...]:
    """Give the numbers of threads to try: 1, 2, 4, … and one for each core.

    >>> thread_counts(6)
    (1, 2, 4, 6)
    """
    powers = [2**power for power in range(cores.bit_length()) if 2**power < cores]
    return (*powers, cores)


def cores_here() -> int:
    """Count the physical cores that this process may use; hyperthreads count once."""
    cpus = allowed_cpus()
    physical = allowed_cores() if cpus is None else len(physical_cores(cpus))
    return max(1, min(physical, allowed_cores()))


def _refuse_threads(wishes: Wishes) -> None:
    """Refuse more threads than cores: they wait for one another, and no measurement would end."""
    cores = allowed_cores()
    if wishes.threads is not None and wishes.threads > cores:
        raise InputError(
            f"{wishes.threads} threads are more than the cores that may be used here: {cores}.",
            f"Use --threads {cores}.",
        )


def _refuse_nothing(wishes: Wishes, notes: _Notes) -> None:
    """Refuse what nothing here has: a provider, a precision, or what the runtimes named can do."""
    if notes.lacking and not notes.computing:
        lacking = notes.lacking.get(USUAL_RUNTIME) or next(iter(notes.lacking.values()))
        raise UnavailableError(lacking.reason, lacking.remedy, lacking.requirements)
    if wishes.precision is not None and notes.precisions:
        raise InputError(
            f"No runtime here computes float32 operators in '{wishes.precision}'.",
            f"Use --precision {' or '.join(sorted(notes.precisions))}.",
        )
    named = [each for each in notes.left_out if each.what in wishes.runtimes]
    if named and len(named) == len(wishes.runtimes):
        first = named[0]
        raise InputError(
            f"Nothing can be tried on the runtime '{first.what}': {first.reason}",
            f"Use `{first.remedy}`." if first.remedy else "Name another --runtime.",
        )


def _default(bundle: Bundle, wishes: Wishes, notes: _Notes) -> Candidate:
    variants = [each for each in bundle.manifest.variants if _takes(each, wishes.batch_size)]
    if not variants:
        size = wishes.batch_size
        raise BundleError(
            f"{bundle.folder} has no variant that takes batches of {size}.",
            f"Make one with `edgecnn export {bundle.folder}`.",
        )
    plain = [each for each in variants if each.precision == "fp32"] or variants
    usual = [each for each in plain if USUAL_RUNTIME in readers(each.format)] or plain
    runtime = usual_reader(usual[0].format)
    if runtime is None:
        raise InputError(
            f"No runtime reads '{usual[0].name}'.", "`edgecnn doctor` lists the runtimes."
        )
    bundle.refuse_stale(usual[0])
    adapter = load_runtime(runtime)
    provider = adapter.PROVIDERS[0]
    available = _availabilities(runtime, (provider,))[provider]
    if not available.ok:
        raise UnavailableError(available.reason, available.remedy, available.requirements)
    notes.versions[runtime] = available.versions
    threads = wishes.threads or allowed_cores()
    most = most_threads(adapter) or threads
    return Candidate(usual[0].name, runtime, provider, min(threads, most))


def _takes(variant: Variant, batch_size: int) -> bool:
    return variant.batch in ("dynamic", batch_size)


def _usable(bundle: Bundle, wishes: Wishes, notes: _Notes) -> Iterator[Variant]:
    for variant in bundle.manifest.variants:
        if wishes.variants and variant.name not in wishes.variants:
            continue
        if not _takes(variant, wishes.batch_size):
            reason = f"It takes batches of {variant.batch}, not {wishes.batch_size}."
            notes.left_out.append(LeftOut(variant.name, reason, f"--batch-size {variant.batch}"))
            continue
        try:
            bundle.refuse_stale(variant)
        except BundleError as error:
            notes.left_out.append(LeftOut(variant.name, error.problem, error.remedy))
        else:
            yield variant


def _on_runtime(
    bundle: Bundle,
    name: str,
    variants: Sequence[Variant],
    wishes: Wishes,
    notes: _Notes,
) -> Iterator[Candidate]:
    wished = name in wishes.runtimes
    if name == _JUDGE and not wished:
        return
    try:
        adapter = load_runtime(name)
    except EdgeCNNError as error:
        if wished:
            raise
        notes.left_out.append(LeftOut(name, error.problem, error.remedy))
        return
    own = [variant for variant in variants if variant.format in adapter.FORMATS]
    if not own:
        formats = " or ".join(sorted(adapter.FORMATS))
        reason = f"It reads {formats}, and no variant here is of that format."
        notes.left_out.append(LeftOut(name, reason, _conversion(bundle, adapter, formats)))
        return
    known = str(Path(name).resolve()) if "/" in name else name
    for provider in _providers(known, adapter, wishes, notes, wished=wished):
        for threads in _threads(name, most_threads(adapter), wishes, notes):
            for precision in _precisions(adapter, provider, wishes, notes):
                for variant in own:
                    yield Candidate(variant.name, known, provider, threads, precision)


def _conversion(bundle: Bundle, adapter: Any, formats: str) -> str:
    """Give the command that makes a variant for a runtime; none where that cannot be made."""
    starts_from_net = getattr(adapter, "CONVERTS_NET", False)
    if not hasattr(adapter, "convert") or (starts_from_net and bundle.manifest.model is None):
        return ""
    return f"edgecnn export {bundle.folder} --format {formats}"


def _providers(
    name: str, adapter: Any, wishes: Wishes, notes: _Notes, *, wished: bool
) -> Iterator[str]:
    """Give where a runtime can compute here; what it lacks is said of the first provider alone."""
    asked = [normalise_provider(wishes.provider)] if wishes.provider else list(adapter.PROVIDERS)
    found = _availabilities(name, tuple(asked))
    for provider in asked:
        if found[provider].ok:
            notes.versions[name] = found[provider].versions
            notes.computing.add(name)
            yield provider
    first = found[asked[0]]
    if first.ok:
        return
    if wished:
        raise UnavailableError(first.reason, first.remedy, first.requirements)
    notes.lacking[name] = first
    notes.left_out.append(LeftOut(name, first.reason, first.remedy))


def _availabilities(name: str, providers: tuple[str, ...]) -> dict[str, Availability]:
    return dict(zip(providers, availabilities(name, providers), strict=True))


def _threads(name: str, most: int | None, wishes: Wishes, notes: _Notes) -> tuple[int, ...]:
    counts = (wishes.threads,) if wishes.threads else thread_counts(cores_here())
    found = tuple(count for count in counts if most is None or count <= most)
    if not found:
        count = "1 thread" if most == 1 else f"{most} threads"
        reason = f"It computes on {count} at most, not on {wishes.threads}."
        notes.left_out.append(LeftOut(name, reason, f"--threads {most}"))
    return found


def _choices(adapter: Any, provider: str) -> Mapping[str, Sequence[str]]:
    """Give the options of a runtime that change anything on a provider, and what each may be."""
    options: Mapping[str, Sequence[str]] = getattr(adapter, "OPTIONS", {})
    return adapter.choices(provider) if hasattr(adapter, "choices") else options


def _precisions(adapter: Any, provider: str, wishes: Wishes, notes: _Notes) -> tuple[str, ...]:
    offered = _choices(adapter, provider).get(PRECISION, (FP32,))
    notes.precisions.update(offered)
    if wishes.precision is not None:
        return (wishes.precision,) if wishes.precision in offered else ()
    return tuple(offered) if wishes.reduced else (FP32,)
