"""The sessions of one comparison: both files as they are, both looked into, and a judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement.layers.report import Rule
from edgecnn.agreement.layers.sources import Arrays, Chunk, Source
from edgecnn.agreement.layers.tapping import GIVEN, cut, inner_bytes, tapped
from edgecnn.agreement.layers.tensors import InnerTensor
from edgecnn.agreement.sides import Engine
from edgecnn.disk import temporary_folder, write_atomically
from edgecnn.errors import EdgeCNNError, InputError
from edgecnn.graph.limits import size_text
from edgecnn.machine import granted_memory
from edgecnn.runtime import CheckedSession

if TYPE_CHECKING:
    from onnx import ModelProto

# All sides' tensors of one chunk are held at once, and pass through a pipe.
_SHARE = 16
_IN_DOUBLE = {"precision": "float64"}

Pairs = Sequence[tuple[InnerTensor, InnerTensor]]


@dataclass(frozen=True, eq=False)
class Placed:
    """A graph, and what runs it."""

    source: Source
    engine: Engine


@dataclass(frozen=True, eq=False)
class Sessions:
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
        return together(whole), together(inner)


@contextmanager
def open_sessions(sides: tuple[Placed, Placed], pairs: Pairs, rule: Rule) -> Iterator[Sessions]:
    """Open all that a comparison needs, and close it at the end of the `with`.

    Args:
        sides: What is compared.
        pairs: The tensors to look at.
        rule: What is more than rounding.

    Raises:
        InputError: The tensors take too much memory.
        EdgeCNNError: A side cannot be run, or not with inner tensors as outputs.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        seen = [[pair[place].seen for pair in pairs] for place in (0, 1)]
        whole, inner = list[CheckedSession](), list[CheckedSession]()
        for side in sides:
            whole.append(stack.enter_context(_guarded(side).open(side.source.variant)))
        for place, side in enumerate(sides):
            _refuse_huge(side.source, seen[place])
            twin, path = tapped(side.source.model, seen[place]), folder / f"side{place}.onnx"
            inner.append(stack.enter_context(_open_copy(side, twin, path)))
        side, twin = _judge(sides, seen, rule)
        judge = stack.enter_context(_open_copy(side, twin, folder / "judge.onnx"))
        yield Sessions(sides, (whole[0], whole[1]), (inner[0], inner[1]), judge)


def _judge(
    sides: tuple[Placed, Placed], seen: Sequence[Sequence[str]], rule: Rule
) -> tuple[Placed, ModelProto]:
    if rule == "8 bits":
        place = int(sides[0].source.quantized)
        return sides[place], cut(sides[place].source.model, seen[place])
    exact = replace(sides[0].engine, runtime="reference", provider=None, options=_IN_DOUBLE)
    return Placed(sides[0].source, exact), tapped(sides[0].source.model, seen[0])


def _guarded(side: Placed) -> Engine:
    """Give the engine that opens a side: a foreign file in a process of its own."""
    return side.engine if side.source.file is None else replace(side.engine, apart=True)


def _open_copy(side: Placed, model: ModelProto, path: Path) -> CheckedSession:
    source, engine = side.source, _guarded(side)
    write_atomically(path, model.SerializeToString())
    try:
        return engine.open(replace(source.variant, files=(str(path),)))
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


def run_judge(
    opened: Sessions, rule: Rule, chunk: Chunk, pairs: Pairs, inner: tuple[Arrays, Arrays]
) -> Arrays:
    """Give every tensor in float64, or as its layer in float makes it of int8's tensors."""
    place = int(opened.sides[0].source.quantized) if rule == "8 bits" else 0
    runs = opened.sides[place].source.feed(chunk, opened.whole[place])
    if rule == "8 bits":
        wanted = {spec.name: spec.dtype for spec in opened.judge.inputs}
        for pair in pairs:
            name, own = f"{pair[place].seen}{GIVEN}", inner[place][pair[place].seen]
            int8 = inner[1 - place].get(pair[1 - place].seen)
            if name in wanted:
                # One of another shape is not compared: the layers behind it get the float one.
                value = own if int8 is None or int8.shape != own.shape else int8
                _hand_out(runs, name, value.astype(wanted[name], copy=False))
    return together([opened.judge.run(run) for run in runs])


def _hand_out(runs: Sequence[Arrays], name: str, value: NDArray[Any]) -> None:
    parts = np.split(value, len(runs)) if len(runs) > 1 else [value]
    for run, part in zip(runs, parts, strict=True):
        run[name] = part


def together(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Arrays:
    """Put runs together along the first axis, but for what changes its shape from run to run."""
    if len(parts) == 1:
        return dict(parts[0])
    together = {}
    for name in parts[0]:
        values = [np.atleast_1d(part[name]) for part in parts]
        if len({value.shape[1:] for value in values}) == 1:
            together[name] = np.concatenate(values)
    return together
