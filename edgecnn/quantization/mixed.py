"""Which layers stay in float, by evidence: those that int8 hurts most, as few as will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.benchmark import LatencyComparison, compare_latency
from edgecnn.disk import disk_errors, temporary_folder
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.progress import Progress, tell_nobody
from edgecnn.quantization.distance import Distance, measure_distance
from edgecnn.quantization.goal import Goal
from edgecnn.quantization.making import Subject, make_int8
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.sensitivity import Effect, rank_effects
from edgecnn.spec import InputContract, Variant, Verdict
from edgecnn.stats import Interval

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

Latency = Callable[["ir.Model", str], LatencyComparison]

FP32, INT8 = "fp32", "int8"
_MOST_NAMED = 6
_MOST_TIMED = 5


@dataclass(frozen=True)
class MixedPoint:
    """One mix of float and int8, measured on the selection images.

    Attributes:
        name: `fp32`, `int8`, or `mixed-N` with N layers in float.
        in_float: Names of the layers that stay in float.
        distance: How far its answers lie from those of fp32.
        drop: How far its accuracy lies below that of fp32 (0.01 is one point), with Tango's 95 %
            paired score interval; None without labels.
        accuracy: Share (0 to 1) of the selection images that it recognises; None without labels.
        latency: fp32 and this in turn; None of fp32 itself, and where it was not measured: at most
            five are.
        size: Bytes of the file, without preprocessing.
        passes: It fulfils the criterion.
        chosen: It is the one that is made.
    """

    name: str
    in_float: tuple[str, ...]
    distance: Distance
    drop: Interval | None
    accuracy: float | None
    latency: LatencyComparison | None
    size: int
    passes: bool
    chosen: bool = False


@dataclass(frozen=True)
class Mixed:
    """Which layers stay in float, and what was tried.

    Attributes:
        images: Selection images, of the training split; they calibrated nothing.
        criterion: When a mix is good enough, in words.
        order: Layers in the order in which they are left in float: the largest effect first.
        in_float: Those that stay in float; none where int8 is good enough as it is.
        points: What was measured, from int8 to fp32.
        verdict: `pass` where a mix is good enough and not slower than fp32; `fail` where only fp32
            is good enough, and then nothing stays in float, or where the mix is slower;
            `inconclusive` where its time could not be told.
    """

    images: int
    criterion: str
    order: tuple[str, ...]
    in_float: tuple[str, ...]
    points: tuple[MixedPoint, ...]
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class _Search:
    """What is the same for every mix that is tried."""

    subject: Subject
    plan: Plan
    images: NDArray[np.uint8]
    reference: dict[str, NDArray[np.float32]]
    goal: Goal
    mixes: tuple[tuple[str, ...], ...]
    tell: Progress


@dataclass(frozen=True, eq=False)
class _Tried:
    core: ir.Model
    point: MixedPoint


def find_mixed(
    subject: Subject,
    plan: Plan,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    *,
    classes: bool,
    max_drop: float | None = None,
    latency: Latency | None = None,
    tell: Progress | None = None,
) -> tuple[Plan, Mixed]:
    """Leave in float what int8 hurts most, until the rest is good enough.

    Tensors are ranked by what rounding each of them alone does to the answers; the layers that
    touch the first one are left in float, then those of the second, and so on. 1, 2, 4, … tensors
    are tried, and then the fewest that are enough are sought between the last that were not and the
    first that were. The images are a stopping rule; the test split must be scored afterwards.

    Args:
        subject: What `observe_subject` gave for a plan with the same preparations.
        plan: How the rest is quantized.
        images: Selection images, uint8 [N, height, width, channels], N >= 2.
        labels: Their classes, int64 [N]; None where they are not known.
        classes: The first output is a row of scores.
        max_drop: Largest loss of accuracy allowed (0.005 is half a point) or, without labels, the
            largest share of flips; by default it stops where int8 is no longer significantly worse.
        latency: Measures fp32 and an int8 core in turn, as `point_latency` makes it.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        The plan with `in_float` filled in, and what was found.

    Raises:
        ModelError: ONNX Runtime or its quantizer refuses the model.
    """
    say = tell or tell_nobody
    ranking = rank_effects(
        subject, plan, images, classes=classes, tell=lambda what, share: say(what, share / 2)
    )
    goal = Goal(ranking.reference, labels, classes, max_drop)
    mixes = _mixes(ranking.effects, plan.in_float)
    search = _Search(subject, plan, images, ranking.reference, goal, mixes, say)
    tried = _try(search)
    best = min((number for number, each in tried.items() if each.point.passes), default=None)
    points = _timed(tried, best, latency, say)
    points.append(_fp32_point(search, chosen=best is None))
    found = Mixed(
        images=len(images),
        criterion=goal.criterion,
        order=mixes[-1],
        in_float=() if best is None else mixes[best],
        points=tuple(points),
        verdict=_verdict(goal, points, len(images)),
    )
    return replace(plan, in_float=found.in_float or plan.in_float), found


def point_latency(
    source: Variant,
    contract: InputContract,
    images: NDArray[np.uint8],
    *,
    threads: int | None = None,
    seconds: float = 1.0,
) -> Latency:
    """Give the function that measures fp32 and an int8 core in turn, at batch 1 or the core's own.

    Args:
        source: The located fp32 variant.
        contract: Its input contract.
        images: uint8 [N, height, width, channels].
        threads: Threads of the sessions; by default the cores allowed.
        seconds: How long each is measured; openings and warm-ups come on top.
    """

    def measure(core: ir.Model, name: str) -> LatencyComparison:
        whole = put_preprocessing_in_front(core, contract) if source.preprocessing else core
        with temporary_folder() as folder:
            path = folder / "mixed.onnx"
            with disk_errors(path):
                path.write_bytes(to_bytes(whole))
            return compare_latency(
                source,
                replace(source, name=name, precision="int8", files=(str(path),)),
                images,
                contract,
                provider="cpu",
                threads=threads,
                seconds=seconds,
                batch_size=1 if source.batch == "dynamic" else source.batch,
            )

    return measure


def _mixes(effects: Sequence[Effect], begun: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Give what stays in float, from as little as the plan says to all that effects name."""
    mixes = [begun]
    for effect in effects:
        grown = tuple(dict.fromkeys((*mixes[-1], *effect.in_float)))
        if grown != mixes[-1]:
            mixes.append(grown)
    return tuple(mixes)


def _try(search: _Search) -> dict[int, _Tried]:
    """Judge mixes by their numbers; the last, all in float, is fp32 and is not tried."""
    end = len(search.mixes) - 1
    numbers = [0, *(1 << power for power in range(end.bit_length()) if 1 << power < end)]
    tried: dict[int, _Tried] = {}
    for step, number in enumerate(numbers):
        search.tell(f"Trying {_name(search, number)}", 0.5 + 0.2 * step / len(numbers))
        tried[number] = _judged(search, number)
    high = min((number for number, each in tried.items() if each.point.passes), default=end)
    low = max((number for number in tried if number < high), default=high)
    while high - low > 1:
        middle = (low + high) // 2
        search.tell(f"Trying {_name(search, middle)}", 0.7)
        tried[middle] = _judged(search, middle)
        low, high = (low, middle) if tried[middle].point.passes else (middle, high)
    return tried


def _judged(search: _Search, number: int) -> _Tried:
    in_float = search.mixes[number]
    core = make_int8(search.subject, replace(search.plan, in_float=in_float))
    outputs = run_core(core, search.subject.contract, search.images)
    return _Tried(core, _point(search, _name(search, number), in_float, outputs, core))


def _timed(
    tried: dict[int, _Tried], best: int | None, latency: Latency | None, tell: Progress
) -> list[MixedPoint]:
    """Measure the latency of int8, of what is chosen and of a few others; none if it is None."""
    order = sorted(tried, key=lambda number: (number not in (0, best), number))
    measured = {}
    for step, number in enumerate(order[:_MOST_TIMED] if latency else ()):
        assert latency is not None
        name = tried[number].point.name
        tell(f"Measuring the latency of {name}", 0.75 + 0.25 * step / _MOST_TIMED)
        measured[number] = latency(tried[number].core, name)
    return [
        replace(tried[number].point, latency=measured.get(number), chosen=number == best)
        for number in sorted(tried)
    ]


def _fp32_point(search: _Search, *, chosen: bool) -> MixedPoint:
    found = _point(search, FP32, search.mixes[-1], search.reference, search.subject.core)
    return replace(found, passes=True, chosen=chosen)


def _point(
    search: _Search,
    name: str,
    in_float: tuple[str, ...],
    outputs: dict[str, NDArray[np.float32]],
    core: ir.Model,
) -> MixedPoint:
    judged = search.goal.judge(outputs)
    return MixedPoint(
        name=name,
        in_float=in_float,
        distance=measure_distance(search.reference, outputs, classes=search.goal.classes),
        drop=judged.drop,
        accuracy=judged.accuracy,
        latency=None,
        size=len(to_bytes(core)),
        passes=judged.passes,
    )


def _name(search: _Search, number: int) -> str:
    return f"mixed-{len(search.mixes[number])}" if number else INT8


def _verdict(goal: Goal, points: Sequence[MixedPoint], images: int) -> Verdict:
    chosen = next(point for point in points if point.chosen)
    until = f"on {images:,} selection images, where {goal.criterion}"
    if chosen.name == FP32:
        return Verdict("fail", (f"No mix of int8 and float is good enough {until}: keep fp32.",))
    if chosen.name == INT8:
        return _with_time(chosen, f"No layer needs to stay in float {until}.")
    named = ", ".join(chosen.in_float[:_MOST_NAMED])
    more = len(chosen.in_float) - _MOST_NAMED
    listed = f"{named} and {more} more" if more > 0 else named
    return _with_time(chosen, f"{listed} stay in float: as few as are enough {until}.")


def _with_time(point: MixedPoint, found: str) -> Verdict:
    """Say what was found, and let nothing pass that is slower than fp32."""
    latency = point.latency
    if latency is None or latency.outcome in ("faster", "no difference"):
        return Verdict("pass", (found,))
    if latency.outcome == "slower":
        slow = f"{point.name} takes {latency.ratio:.2f} times the time of fp32: keep fp32."
        return Verdict("fail", (found, slow))
    unknown = f"Too little was measured to tell whether {point.name} is faster than fp32."
    return Verdict("inconclusive", (found, unknown))
