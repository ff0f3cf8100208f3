"""Two sides run on the same inputs, tensor by tensor, a few inputs at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.layers.report import LayerComparison, LayerDifference, Rule
from edgecnn.agreement.layers.rules import LIMITS, Sums, judged
from edgecnn.agreement.layers.sources import Arrays, Chunk, Given, Source
from edgecnn.agreement.layers.tapping import GIVEN, cut, inner_bytes, tapped
from edgecnn.agreement.layers.tensors import InnerTensor, inner_tensors, match_tensors
from edgecnn.agreement.layers.wording import judge_layers
from edgecnn.agreement.sides import Engine
from edgecnn.disk import write_atomically
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.graph.limits import size_text
from edgecnn.machine import granted_memory
from edgecnn.options import engine_name
from edgecnn.runtime import CheckedSession

if TYPE_CHECKING:
    from onnx import ModelProto

# All sides' tensors of one chunk are held at once, and pass through a pipe.
_SHARE = 16
# Where more noise than twice its amplitude is gone in the copies that show tensors, they hide it.
_HIDDEN = 4.0
_IN_DOUBLE = {"precision": "float64"}

Pairs = Sequence[tuple[InnerTensor, InnerTensor]]


@dataclass(frozen=True, eq=False)
class Placed:
    """A graph, and what runs it."""

    source: Source
    engine: Engine


@dataclass
class _Found:
    """What was found of the pairs, and of the outputs of the files as they are."""

    inner: dict[str, Sums] = field(default_factory=dict)
    whole: dict[str, Sums] = field(default_factory=dict)
    moved: list[float] = field(default_factory=lambda: [0.0, 0.0])
    other_shapes: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Opened:
    """The sessions of one comparison."""

    sides: tuple[Placed, Placed]
    whole: tuple[CheckedSession, CheckedSession]
    inner: tuple[CheckedSession, CheckedSession]
    judge: CheckedSession

    def run(self, side: int, chunk: Chunk) -> tuple[Arrays, Arrays]:
        """Give the outputs of a side as it is, and its inner tensors."""
        runs = self.sides[side].source.feed(chunk, self.whole[side])
        sessions = self.whole[side], self.inner[side]
        whole, inner = ([session.run(run) for run in runs] for session in sessions)
        return _together(whole), _together(inner)


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
    same = first.source is second.source
    tensors = [inner_tensors(side.source.model) for side in sides]
    matched = match_tensors(*tensors, same_graph=same, outputs=_output_names(sides))
    if not matched.pairs:
        raise InputError(
            f"{first.source.name} and {second.source.name} have no inner tensor in common: neither "
            "names nor layers are the same.",
            "Compare their outputs: leave --layers out.",
        )
    rule = _rule(sides)
    with _opened(sides, matched.pairs, rule) as opened:
        names = (_label(first, opened.inner[0]), _label(second, opened.inner[1]))
        found = _Found()
        for chunk in given.chunks:
            _add(found, opened, matched.pairs, rule, chunk)
    eps = _eps(sides)
    kept = [ours for ours, _ in matched.pairs if ours.name not in found.other_shapes]
    inner = tuple(judged(each, found.inner[each.name], rule, eps) for each in kept)
    parted = next((each for each in inner if each.parts), None)
    comparison = LayerComparison(
        *names,
        rule,
        LIMITS[rule],
        inner,
        parted.tensor if parted else None,
        matched.alone + len(found.other_shapes),
        matched.others_alone + len(found.other_shapes),
        (found.moved[0], found.moved[1]),
        _outputs_part(kept, found, rule, eps),
        judge_layers(names, None, False, rule),
    )
    verdict = judge_layers(names, parted, comparison.outputs_part, rule)
    return replace(comparison, verdict=verdict)


def _rule(sides: tuple[Placed, Placed]) -> Rule:
    quantized = [side.source.quantized for side in sides]
    return "steps" if all(quantized) else "8 bits" if any(quantized) else "float"


def _eps(sides: tuple[Placed, Placed]) -> float:
    half = any(side.source.variant.precision == "fp16" for side in sides)
    return float(np.finfo(np.float16 if half else np.float32).eps)


def _output_names(sides: tuple[Placed, Placed]) -> tuple[list[str], list[str]]:
    first, second = ([each.name for each in side.source.model.graph.output] for side in sides)
    return first, second


@contextmanager
def _opened(sides: tuple[Placed, Placed], pairs: Pairs, rule: Rule) -> Iterator[_Opened]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecnn-layers-")))
        whole = [_open(stack, side, side.source.model, folder, "whole") for side in sides]
        seen = [[pair[place].seen for pair in pairs] for place in (0, 1)]
        inner = []
        for place, side in enumerate(sides):
            _refuse_huge(side.source, seen[place])
            twin = tapped(side.source.model, seen[place])
            inner.append(_open(stack, side, twin, folder, f"side{place}"))
        if rule == "8 bits":
            float_place = int(sides[0].source.quantized)
            side, names = sides[float_place], seen[float_place]
            judge = _open(stack, side, cut(side.source.model, names), folder, "cut")
        else:
            exact = replace(sides[0].engine, runtime="reference", provider=None, options=_IN_DOUBLE)
            side = Placed(sides[0].source, exact)
            twin = tapped(side.source.model, seen[0])
            judge = _open(stack, side, twin, folder, "exact")
        yield _Opened(sides, (whole[0], whole[1]), (inner[0], inner[1]), judge)


def _open(
    stack: ExitStack,
    side: Placed,
    model: ModelProto,
    folder: Path,
    name: str,
) -> CheckedSession:
    source, engine = side.source, side.source.guarded(side.engine)
    if name == "whole":
        return stack.enter_context(engine.open(source.variant))
    path = folder / f"{name}.onnx"
    write_atomically(path, model.SerializeToString())
    variant = replace(source.variant, files=(str(path),))
    try:
        return stack.enter_context(engine.open(variant))
    except EdgeCNNError as error:
        raise type(error)(
            f"{source.name} does not open on {engine.runtime} with its inner tensors as outputs: "
            f"{error.problem}",
            "Compare its outputs: leave --layers out.",
        ) from error


def _refuse_huge(source: Source, names: Sequence[str]) -> None:
    needed, granted = inner_bytes(source.model, names), granted_memory()
    if granted and needed > granted // _SHARE:
        raise InputError(
            f"The inner tensors of {source.name} take {size_text(needed)} for one input.",
            "Compare its outputs: leave --layers out.",
        )


def _label(side: Placed, session: CheckedSession) -> str:
    engine = engine_name(session.runtime, session.provider, session.precision, side.engine.options)
    return f"{side.source.name} on {engine}"


def _add(found: _Found, opened: _Opened, pairs: Pairs, rule: Rule, chunk: Chunk) -> None:
    (whole_a, inner_a), (whole_b, inner_b) = (opened.run(side, chunk) for side in (0, 1))
    _add_moved(found, 0, whole_a, inner_a)
    _add_moved(found, 1, whole_b, inner_b)
    judge = _judge(opened, rule, chunk, pairs, (inner_a, inner_b))
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


def _judge(
    opened: _Opened, rule: Rule, chunk: Chunk, pairs: Pairs, inner: tuple[Arrays, Arrays]
) -> Arrays:
    """Give every tensor in float64, or as its layer in float makes it of int8's tensors."""
    place = int(opened.sides[0].source.quantized) if rule == "8 bits" else 0
    runs = opened.sides[place].source.feed(chunk, opened.whole[place])
    if rule == "8 bits":
        wanted = {spec.name for spec in opened.judge.inputs}
        for pair in pairs:
            name, value = f"{pair[place].seen}{GIVEN}", inner[1 - place].get(pair[1 - place].seen)
            if name in wanted and value is not None:
                _hand_out(runs, name, value)
    return _together([opened.judge.run(run) for run in runs])


def _hand_out(runs: Sequence[Arrays], name: str, value: NDArray[Any]) -> None:
    parts = np.split(value, len(runs)) if len(runs) > 1 else [value]
    for run, part in zip(runs, parts, strict=True):
        run[name] = part.astype(np.float32, copy=False)


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


def _outputs_part(kept: Sequence[InnerTensor], found: _Found, rule: Rule, eps: float) -> bool:
    for each in kept:
        if each.name not in found.whole:
            continue
        whole, inner = found.whole[each.name], found.inner[each.name]
        if whole.not_finite:
            return True
        hidden = whole.noise > _HIDDEN * inner.noise and whole.noise > eps**2 * whole.signal
        if hidden if rule == "8 bits" else judged(each, whole, rule, eps).parts:
            return True
    return False


def _together(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Arrays:
    """Put runs together along the first axis, but for what changes its shape from run to run."""
    if len(parts) == 1:
        return dict(parts[0])
    together = {}
    for name in parts[0]:
        values = [np.atleast_1d(part[name]) for part in parts]
        if len({value.shape[1:] for value in values}) == 1:
            together[name] = np.concatenate(values)
    return together


__all__ = ["LayerDifference", "Placed", "compare_layers"]
