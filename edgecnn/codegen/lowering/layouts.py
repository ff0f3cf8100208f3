"""How tensors lie: as pictures, as ONNX has them, or in an order that nothing has asked for yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.strided import PICTURE, Run, Strided, whole
from edgecnn.codegen.lowering.values import view
from edgecnn.codegen.program import Layer, Read, Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

# Axes that a copy goes over: of rows, within a row, and within a pixel (rearrange_f32.h).
_ROWS, _COLUMNS, _CHANNELS = 1, 2, 3


@dataclass(eq=False)
class Layouts:
    """Where each tensor is found in which order.

    Attributes:
        layers: The layers so far, to which copies are added.
    """

    layers: list[Layer]
    _moves: dict[Tensor, Strided] = field(default_factory=dict)
    _made: dict[tuple[Tensor, bool], Tensor] = field(default_factory=dict)

    def strided(self, tensor: Tensor) -> Strided:
        """Say where the numbers of a tensor lie."""
        return self._moves.get(tensor) or whole(tensor)

    def move(self, name: str, strided: Strided) -> Tensor:
        """Make a tensor of numbers in another order; they are copied only if something asks."""
        base, shape = strided.base, strided.shape
        if _may_be_picture(shape) and strided.lies_as(PICTURE):
            return view(base, shape, picture=True)
        if strided.lies_as():
            return view(base, shape, picture=False)
        made = Tensor(name, shape, base.number)
        self._moves[made] = strided
        return made

    def settled(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor that lies somewhere: a picture if it can be one."""
        if tensor not in self._moves:
            return tensor
        return (
            self.picture(tensor, node)
            if _may_be_picture(tensor.shape)
            else self.plain(tensor, node)
        )

    def picture(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor as a picture, channels last.

        Raises:
            ModelError: It is no [1, C, H, W].
        """
        if tensor.picture:
            return tensor
        if not _may_be_picture(tensor.shape):
            sizes = ", ".join(map(str, tensor.shape))
            raise unsupported(node, f"which works on [{sizes}], not on a picture [1, C, H, W]")
        if (tensor, True) not in self._made:
            self._made[tensor, True] = self._picture(tensor, node)
        return self._made[tensor, True]

    def plain(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor as ONNX has it."""
        if not tensor.picture and tensor not in self._moves:
            return tensor
        if (tensor, False) not in self._made:
            self._made[tensor, False] = self._plain(tensor, node)
        return self._made[tensor, False]

    def picture_of(self, tensor: Tensor) -> Tensor | None:
        """Give the picture whose numbers a tensor has, as ONNX orders them; None of others."""
        strided = self._moves.get(tensor)
        if strided is None or not strided.base.picture or strided.base.size != tensor.size:
            return None
        return strided.base if strided.runs() == whole(strided.base).runs() else None

    def _picture(self, tensor: Tensor, node: ir.Node) -> Tensor:
        strided = self.strided(tensor)
        if strided.lies_as(PICTURE):
            return view(strided.base, tensor.shape, picture=True)
        made = Tensor(tensor.name, tensor.shape, tensor.number, picture=True)
        if tensor not in self._moves:
            self._turn(node, "interleave", tensor, made, made)
            return made
        rows, columns, channels = (strided.runs((axis,)) for axis in PICTURE[1:])
        if len(rows) > _ROWS or len(columns) > _COLUMNS or len(channels) > _CHANNELS:
            return self.picture(self.plain(tensor, node), node)
        runs = _filled(rows, _ROWS) + _filled(columns, _COLUMNS) + _filled(channels, _CHANNELS)
        self._rearrange(node, strided, made, runs)
        return made

    def _plain(self, tensor: Tensor, node: ir.Node) -> Tensor:
        strided = self.strided(tensor)
        picture = tensor if tensor.picture else self.picture_of(tensor)
        if strided.lies_as():
            return view(strided.base, tensor.shape, picture=False)
        if picture is not None and picture is not tensor:
            return view(self.plain(picture, node), tensor.shape, picture=False)
        made = Tensor(tensor.name, tensor.shape, tensor.number)
        if tensor.picture:
            self._turn(node, "planes", tensor, made, tensor)
            return made
        runs = strided.runs()
        if len(runs) > _ROWS + _COLUMNS + _CHANNELS:
            raise unsupported(node, f"which takes numbers from memory in {len(runs)} steps")
        self._rearrange(node, strided, made, _filled(runs, _ROWS + _COLUMNS + _CHANNELS))
        return made

    def _turn(self, node: ir.Node, kernel: str, old: Tensor, new: Tensor, picture: Tensor) -> None:
        sizes = {"height": picture.height, "width": picture.width, "channels": picture.channels}
        self._add(node, f"{kernel}_{old.suffix}", old, new, sizes)

    def _rearrange(self, node: ir.Node, strided: Strided, made: Tensor, runs: list[Run]) -> None:
        sizes = {"first": strided.first}
        for place, (size, step) in enumerate(runs):
            sizes |= {f"size{place}": size, f"step{place}": step}
        if not made.picture:
            sizes["out_row"] = math.prod(size for size, _ in runs[_ROWS:])
            sizes["out_pixel"] = math.prod(size for size, _ in runs[_ROWS + _COLUMNS :])
        base = view(strided.base, strided.base.shape, picture=False)
        self._add(node, f"rearrange_{made.suffix}", base, made, sizes)

    def _add(
        self, node: ir.Node, kernel: str, old: Tensor, new: Tensor, sizes: dict[str, int]
    ) -> None:
        name = str(node.name or node.outputs[0].name)
        self.layers.append(Layer(name, kernel, (Read(old),), new, (), dict(sizes)))


def _may_be_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[0] == 1


def _filled(runs: list[Run], count: int) -> list[Run]:
    return [(1, 0)] * (count - len(runs)) + runs
