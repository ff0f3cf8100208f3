"""Which scheme is the fastest on this machine, by measuring rather than by habit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.errors import InputError, RuntimeCrashed
from edgecnn.quantization.choosing import Choice, choose_scheme, default_scheme
from edgecnn.quantization.cpus import CPUS, Fleet
from edgecnn.quantization.schemes import SCHEMES
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.benchmark.report import BenchReport
    from edgecnn.progress import Progress
    from edgecnn.spec import InputContract

Pairs = Mapping[tuple[str, str], LatencyComparison]


@dataclass(frozen=True)
class Trials:
    """The schemes that are worth measuring for a fleet.

    Attributes:
        choices: Those to measure, the one first that would be taken without measuring.
        left_out: Those that may saturate on some of the CPUs.
    """

    choices: tuple[Choice, ...]
    left_out: tuple[Choice, ...]


@dataclass(frozen=True)
class Measured:
    """How fast a scheme is.

    Attributes:
        scheme: Its name.
        variant: Name of the variant that was measured.
        latency: How it compares with fp32.
    """

    scheme: str
    variant: str
    latency: LatencyComparison


@dataclass(frozen=True)
class Fastest:
    """Which scheme is the fastest on this machine; all were measured in one run.

    Attributes:
        scheme: Its name.
        variant: Name of the variant that was measured.
        measured: Every scheme, in the order in which they were preferred.
        against: How the fastest compares with each other one, in either order.
        valid: The figures may be believed; if not, the first was kept.
        reason: Why it was taken, in a sentence.
    """

    scheme: str
    variant: str
    measured: tuple[Measured, ...]
    against: tuple[LatencyComparison, ...]
    valid: bool
    reason: str


def schemes_to_try(fleet: Fleet = CPUS) -> Trials:
    """Give the schemes to measure for a fleet, the usual one first.

    Of two schemes with the same number formats only one is tried: they take the same time.

    Args:
        fleet: The CPUs that the net will meet.
    """
    usual = default_scheme(fleet)
    tried, formats = [choose_scheme(fleet)], {(usual.activations, usual.weights)}
    left_out: list[Choice] = []
    for scheme in SCHEMES.values():
        if (scheme.activations, scheme.weights) in formats:
            continue
        formats.add((scheme.activations, scheme.weights))
        choice = choose_scheme(fleet, scheme)
        (left_out if choice.at_risk else tried).append(choice)
    return Trials(tuple(tried), tuple(left_out))


def find_fastest(
    source: Variant,
    candidates: Sequence[tuple[Choice, Variant]],
    images: NDArray[np.uint8],
    contract: InputContract,
    *,
    runtime: str = "ort",
    threads: int | None = None,
    batch_size: int = 1,
    seconds: float = 6.0,
    progress: Progress | None = None,
) -> Fastest:
    """Measure an fp32 variant and its quantized forms in turn, and say which form is the fastest.

    Args:
        source: The located fp32 variant.
        candidates: Choices and what was made of them, located; the preferred first. One that
            is faster only within the noise floor does not take its place.
        images: uint8 [N, height, width, channels]; the first 8 batches are used.
        contract: How pictures become input.
        runtime: Name or path of the runtime.
        threads: Threads within an operator; by default the cores that this process may use.
        batch_size: Images in one call.
        seconds: How long to measure in all; openings and warm-ups come on top.
        progress: Called with a line of text and the share (0 to 1) that is done.

    Raises:
        InputError: There is no candidate, two have the same name, or one does not take this batch.
        UnavailableError: The runtime is not to be had here.
        RuntimeCrashed: One of them crashed or hung.
        Interrupted: Ctrl-C.
    """
    from edgecnn.benchmark.engine import Place
    from edgecnn.benchmark.inputs import Images
    from edgecnn.benchmark.jobs import image_job
    from edgecnn.benchmark.measure import carry_out
    from edgecnn.benchmark.plan import make_plan

    located = [source, *(variant for _, variant in candidates)]
    names = [variant.name for variant in located]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(
            f"{', '.join(names)}: these cannot be compared.", "Name one or more, each once."
        )
    place, plan = Place(runtime, None, threads, None), make_plan(seconds)
    job = image_job(located, Images(images, "images"), contract, batch_size, place, plan)
    pairs = tuple(combinations(names, 2))
    report = carry_out(replace(job, pairs=pairs), None, progress, finish=_as_it_is)
    for failure in report.samples.failures:
        raise RuntimeCrashed(failure.problem, failure.remedy)
    schemes = {variant.name: choice.scheme.name for choice, variant in candidates}
    return _sum_up(report, schemes)


def pick(names: Sequence[str], pairs: Pairs) -> str:
    """Pick the fastest of some: a later one takes an earlier one's place only if it is shown to be.

    Args:
        names: The preferred first.
        pairs: How each compares with those after it, that one first.
    """
    best, *others = names
    for other in others:
        if pairs[best, other].outcome == "faster":
            best = other
    return best


def _sum_up(report: BenchReport, schemes: dict[str, str]) -> Fastest:
    pairs = {(each.first, each.second): each for each in report.comparisons}
    names, source = list(schemes), report.variants[0].variant
    best = pick(names, pairs) if report.valid else names[0]
    measured = tuple(Measured(schemes[name], name, pairs[source, name]) for name in names)
    against = tuple(each for pair, each in pairs.items() if best in pair and source not in pair)
    return Fastest(
        scheme=schemes[best],
        variant=best,
        measured=measured,
        against=against,
        valid=report.valid,
        reason=_why(best, measured, report),
    )


def _why(best: str, measured: Sequence[Measured], report: BenchReport) -> str:
    source = report.variants[0].variant
    ratios = ", ".join(f"{each.scheme} {each.latency.ratio:.2f}" for each in measured)
    found = f"times of {source}'s time: {ratios}"
    scheme = next(each.scheme for each in measured if each.variant == best)
    if not report.valid:
        return f"{scheme} was kept, as the run is not valid ({'; '.join(report.reasons)}); {found}."
    if len(measured) == 1:
        return f"{scheme} is the only one that was measured; {found}."
    if best == measured[0].variant:
        return f"{scheme} was kept, as none was shown to be faster; {found}."
    return f"{scheme} is the fastest; {found}."


def _as_it_is(report: BenchReport) -> BenchReport:
    return report
