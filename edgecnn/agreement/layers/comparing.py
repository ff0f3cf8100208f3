"""Two sides run on the same inputs, tensor by tensor, a few inputs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.layers.report import LayerComparison, Rule
from edgecnn.agreement.layers.rules import LIMITS, Sums, judged
from edgecnn.agreement.layers.sessions import Pairs, Placed, Sessions, open_sessions, run_judge
from edgecnn.agreement.layers.sources import Arrays, Chunk, Given
from edgecnn.agreement.layers.tensors import InnerTensor, Matched, inner_tensors, match_tensors
from edgecnn.agreement.layers.wording import judge_layers
from edgecnn.errors import InputError
from edgecnn.options import engine_name
from edgecnn.runtime import CheckedSession

# Where one has more than twice the amplitude of the other's noise, they do not do the same.
_HIDDEN = 4.0


@dataclass
class _Found:
    """What was found of the pairs, and of the outputs of the files as they are."""

    inner: dict[str, Sums] = field(default_factory=dict)
    whole: dict[str, Sums] = field(default_factory=dict)
    moved: list[float] = field(default_factory=lambda: [0.0, 0.0])
    other_shapes: set[str] = field(default_factory=set)


def compare_layers(first: Placed, second: Placed, given: Given) -> LayerComparison:
    """Find the first tensor at which two sides differ by more than rounding.

    Args:
        first: One side; the order of tensors is its graph's.
        second: The other.
        given: What both are run on.

    Raises:
        InputError: They have no inner tensor in common, or those take too much memory.
        EdgeCNNError: A side cannot be run, or not with inner tensors as outputs.
    """
    sides = (first, second)
    matched = _matched(sides)
    rule, found = _rule(sides), _Found()
    with open_sessions(sides, matched.pairs, rule) as opened:
        names = (_label(first, opened.inner[0]), _label(second, opened.inner[1]))
        for chunk in given.chunks:
            _add(found, opened, matched.pairs, rule, chunk)
    eps, lost = _eps(sides), len(found.other_shapes)
    kept = [ours for ours, _ in matched.pairs if ours.name not in found.other_shapes]
    if not kept:
        raise _nothing_in_common(sides)
    tensors = tuple(judged(each, found.inner[each.name], rule, eps) for each in kept)
    parted = next((each for each in tensors if each.parts), None)
    part = _outputs_part(kept, found, rule, eps)
    return LayerComparison(
        *names,
        rule,
        LIMITS[rule],
        tensors,
        parted.tensor if parted else None,
        matched.alone + lost,
        matched.others_alone + lost,
        (found.moved[0], found.moved[1]),
        *part,
        judge_layers(names, parted, part, rule),
    )


def _matched(sides: tuple[Placed, Placed]) -> Matched:
    first, second = (side.source for side in sides)
    matched = match_tensors(
        inner_tensors(first.model),
        inner_tensors(second.model),
        same_graph=first is second,
        outputs=_output_names(sides),
    )
    if not matched.pairs:
        raise _nothing_in_common(sides)
    return matched


def _nothing_in_common(sides: tuple[Placed, Placed]) -> InputError:
    first, second = (side.source.name for side in sides)
    return InputError(
        f"{first} and {second} have no inner tensor in common, of the same name or layer and of "
        "the same shape.",
        "Compare their outputs: leave --layers out.",
    )


def _rule(sides: tuple[Placed, Placed]) -> Rule:
    quantized = [side.source.quantized for side in sides]
    return "steps" if all(quantized) else "8 bits" if any(quantized) else "float"


def _eps(sides: tuple[Placed, Placed]) -> float:
    half = any(side.source.variant.precision == "fp16" for side in sides)
    return float(np.finfo(np.float16 if half else np.float32).eps)


def _output_names(sides: tuple[Placed, Placed]) -> tuple[list[str], list[str]]:
    first, second = ([each.name for each in side.source.model.graph.output] for side in sides)
    return first, second


def _label(side: Placed, session: CheckedSession) -> str:
    engine = engine_name(session.runtime, session.provider, session.precision, side.engine.options)
    return f"{side.source.name} on {engine}"


def _add(found: _Found, opened: Sessions, pairs: Pairs, rule: Rule, chunk: Chunk) -> None:
    (whole_a, inner_a), (whole_b, inner_b) = (opened.run(side, chunk) for side in (0, 1))
    _add_moved(found, 0, whole_a, inner_a)
    _add_moved(found, 1, whole_b, inner_b)
    judge = run_judge(opened, rule, chunk, pairs, (inner_a, inner_b))
    for ours, theirs in pairs:
        both = inner_a.get(ours.seen), inner_b.get(theirs.seen)
        if both[0] is None or both[1] is None or both[0].shape != both[1].shape:
            found.other_shapes.add(ours.name)
            continue
        place = int(opened.sides[0].source.quantized)
        name = (ours, theirs)[place].seen if rule == "8 bits" else ours.seen
        sums = found.inner.setdefault(ours.name, Sums())
        _add_pair(sums, (both[0], both[1]), judge.get(name), rule, place)
        if ours.seen in whole_a and theirs.seen in whole_b:
            whole = found.whole.setdefault(ours.name, Sums())
            outputs = (whole_a[ours.seen], whole_b[theirs.seen])
            _add_pair(whole, outputs, judge.get(name), rule, place)


def _add_moved(found: _Found, side: int, whole: Arrays, inner: Arrays) -> None:
    for name, value in whole.items():
        if name in inner and value.dtype.kind == "f" and value.shape == inner[name].shape:
            far = np.abs(value.astype(np.float64) - inner[name])
            finite = far[np.isfinite(far)]
            found.moved[side] = max(found.moved[side], float(finite.max(initial=0.0)))


def _add_pair(
    sums: Sums,
    both: tuple[NDArray[Any], NDArray[Any]],
    judge: NDArray[Any] | None,
    rule: Rule,
    place: int,
) -> None:
    sums.add(*both)
    if judge is None or judge.shape != both[0].shape:
        return
    if rule == "8 bits":
        sums.add_range(both[place])
        sums.add_own(both[1 - place], judge)
    else:
        sums.add_exact(both, judge)


def _outputs_part(
    kept: Sequence[InnerTensor], found: _Found, rule: Rule, eps: float
) -> tuple[bool, bool]:
    """Say whether outputs part: of the files as they are, and of the copies."""
    pairs = [
        (each, found.whole[each.name], found.inner[each.name])
        for each in kept
        if each.name in found.whole
    ]
    if rule == "8 bits":
        # What a layer itself adds is seen in copies alone.
        return (
            any(_louder(whole, inner, eps) for _, whole, inner in pairs),
            any(_louder(inner, whole, eps) for _, whole, inner in pairs),
        )
    return (
        any(judged(each, whole, rule, eps).parts for each, whole, _ in pairs),
        any(judged(each, inner, rule, eps).parts for each, _, inner in pairs),
    )


def _louder(one: Sums, other: Sums, eps: float) -> bool:
    more = one.noise > _HIDDEN * other.noise and one.noise > eps**2 * one.signal
    return more or one.not_finite > other.not_finite
