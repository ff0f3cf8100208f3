"""Numbers in another order than they lie in, before anything is copied.

Transpose, Reshape, Slice and the like change no number. Each changes the steps with which one goes
through memory, so several in a row are one: a channel shuffle is three of them, and one copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgecnn.codegen.program import Tensor

# How many numbers, and from one to the next.
Run = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Strided:
    """Some or all numbers of a tensor, in an order of their own.

    Attributes:
        base: Where they lie, without a gap.
        axes: For each axis, as ONNX has it, the runs through memory that it is made of: the
            slowest first.
        first: The place of the first number.
    """

    base: Tensor
    axes: tuple[tuple[Run, ...], ...]
    first: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, as ONNX has them."""
        return tuple(_size(axis) for axis in self.axes)

    def transposed(self, order: Sequence[int]) -> Strided:
        """Turn axes, as Transpose does."""
        return replace(self, axes=tuple(self.axes[axis] for axis in order))

    def reshaped(self, shape: Sequence[int]) -> Strided | None:
        """Give the numbers in another shape; None if one of its axes has no steps of its own."""
        left = _merged(run for axis in self.axes for run in axis)
        axes = []
        for size in shape:
            axis: list[Run] = []
            while _size(axis) < size:
                if size % _size(axis):
                    return None
                run, rest = _split(left.pop(0), size // _size(axis))
                if run is None:
                    return None
                axis.append(run)
                left[:0] = rest
            if _size(axis) != size:
                return None
            axes.append(tuple(axis))
        return replace(self, axes=tuple(axes))

    def sliced(self, axis: int, start: int, step: int, count: int) -> Strided | None:
        """Give every step-th number of an axis; None if these have no steps of their own."""
        runs = _merged(self.axes[axis])
        inner = _size(runs[1:])
        if not runs:
            return self
        if len(runs) > 1 and (step != 1 or start % inner or count % inner):
            return None
        _, stride = runs[0]
        cut = (count // inner, stride * step)
        axes = (*self.axes[:axis], (cut, *runs[1:]), *self.axes[axis + 1 :])
        return replace(self, axes=axes, first=self.first + start // inner * stride)

    def expanded(self, shape: Sequence[int]) -> Strided:
        """Repeat what has a size of 1, as Expand does."""
        old: list[tuple[Run, ...]] = [()] * (len(shape) - len(self.axes)) + list(self.axes)
        axes = [
            axis if _size(axis) == size else ((size, 0),)
            for axis, size in zip(old, shape, strict=True)
        ]
        return replace(self, axes=tuple(axes))

    def runs(self, order: Iterable[int] | None = None) -> list[Run]:
        """Give the runs through memory over some axes, as few as can be: the slowest first."""
        every = range(len(self.axes)) if order is None else order
        return _merged(run for axis in every for run in self.axes[axis])

    def lies_as(self, order: Iterable[int] | None = None) -> bool:
        """All numbers of the base lie in this order already."""
        size = self.base.size
        return self.runs(order) == ([(size, 1)] if size > 1 else []) and self.first == 0


def whole(tensor: Tensor) -> Strided:
    """Give all numbers of a tensor, as they lie."""
    steps, step = [0] * len(tensor.shape), 1
    order = PICTURE if tensor.picture else range(len(tensor.shape))
    for axis in reversed(order):
        steps[axis] = step
        step *= tensor.shape[axis]
    return Strided(
        tensor, tuple(((size, step),) for size, step in zip(tensor.shape, steps, strict=True))
    )


# The axes of [1, C, H, W], as a picture lies.
PICTURE = (0, 2, 3, 1)


def _size(runs: Iterable[Run]) -> int:
    return math.prod(size for size, _ in runs)


def _merged(runs: Iterable[Run]) -> list[Run]:
    found: list[Run] = []
    for size, step in runs:
        if size == 1:
            continue
        if found and found[-1][1] == size * step:
            found[-1] = (found[-1][0] * size, step)
        else:
            found.append((size, step))
    return found


def _split(run: Run, wanted: int) -> tuple[Run | None, list[Run]]:
    """Part a run into a slow one of so many numbers, or all if it has fewer, and the rest."""
    size, step = run
    if wanted % size == 0:
        return run, []
    if size % wanted:
        return None, []
    return (wanted, step * (size // wanted)), [(size // wanted, step)]
