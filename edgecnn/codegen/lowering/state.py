"""What is known while a graph is lowered: where each value is, and the layers so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.codegen.lowering.clipping import clip_bounds
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.values import (
    LARGEST,
    Moved,
    Scale,
    Source,
    Target,
    sizes_of,
    view,
)
from edgecnn.codegen.program import Layer, Number, Read, Tensor

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray


@dataclass(eq=False)
class Lowering:
    """A graph on its way to layers.

    Attributes:
        graph: The graph, for a batch of one.
        shapes: The shape of every value, by name.
        layers: What was made so far.
        sources: Where the values are that were made so far.
        absorbed: Nodes that a kernel of an earlier one computes, too.
    """

    graph: ir.Graph
    shapes: Mapping[str, tuple[int, ...]]
    layers: list[Layer] = field(default_factory=list)
    sources: dict[ir.Value, Source] = field(default_factory=dict)
    absorbed: set[ir.Node] = field(default_factory=set)
    _pictures: dict[Tensor, Tensor] = field(default_factory=dict)
    _plain: dict[Tensor, Tensor] = field(default_factory=dict)
    _flat: dict[Tensor, Tensor] = field(default_factory=dict)

    # ------------------------------------------------------------ what a node reads

    def constant(self, value: ir.Value | None) -> NDArray[Any] | None:
        """Give a constant's numbers; None of what is computed, or missing."""
        if value is None or value.const_value is None:
            return None
        return value.const_value.numpy()

    def source(self, value: ir.Value | None) -> Source:
        """Give a value as it is at hand: as floats, or as bytes behind a DequantizeLinear."""
        found = self._at_hand(value)
        node = value.producer() if value is not None else None
        if found.tensor in self._flat and node is not None:
            return Source(self.plain(found.tensor, node), found.scale)
        return found

    def _at_hand(self, value: ir.Value | None) -> Source:
        assert value is not None
        return self._quantized(value) or self.sources.get(value) or self._missing(value)

    def floats(self, value: ir.Value | None) -> Tensor:
        """Give a value as floats; a DequantizeLinear is computed where nothing else will do."""
        assert value is not None
        found = self.sources.get(value)
        if found is None:
            bytes_ = self._quantized(value) or self._missing(value)
            found = self.sources[value] = Source(self._dequantized(value, bytes_))
        return found.tensor

    def weights(self, value: ir.Value | None) -> tuple[NDArray[Any], NDArray[Any] | None, Any]:
        """Give constant numbers with the scale and the zero point of each channel.

        Returns:
            The numbers, and float32 scales and zero points [channels], or of one; None of floats.
        """
        found = self.constant(value)
        if found is not None:
            return found, None, None
        node = value.producer() if value is not None else None
        parts = [self.constant(each) for each in node.inputs] if node is not None else []
        if node is None or node.op_type != "DequantizeLinear" or parts[0] is None:
            raise unsupported(value, "whose weights are computed, not constant")
        numbers, scale = parts[0], parts[1]
        zero = parts[2] if len(parts) > 2 else None
        assert scale is not None
        return numbers, scale.reshape(-1), numbers.dtype.type(0) if zero is None else zero

    def shape(self, value: ir.Value | None) -> tuple[int, ...]:
        """Give a value's shape for one image."""
        assert value is not None
        return self.shapes[str(value.name)]

    def bias(self, node: ir.Node, channels: int) -> NDArray[np.float32]:
        """Give the third input of a node as one float for each channel; zeros if it has none."""
        import numpy as np

        value = node.inputs[2] if len(node.inputs) > 2 else None
        if value is None:
            return np.zeros(channels, np.float32)
        numbers, scales, _ = self.weights(value)
        floats = numbers if scales is None else numbers.astype(np.float32) * scales
        return np.broadcast_to(floats.reshape(-1).astype(np.float32), (channels,))

    def flattened(self, value: ir.Value | None, node: ir.Node) -> tuple[Source, Tensor | None]:
        """Give a row of numbers; of a picture as it lies, with the picture."""
        source = self._at_hand(value)
        picture = self._flat.get(source.tensor)
        if picture is not None:
            return Source(view(picture, source.tensor.shape, picture=False), source.scale), picture
        return Source(self.plain(source.tensor, node), source.scale), None

    def as_floats(self, source: Source, node: ir.Node) -> Tensor:
        """Give a source as floats, as it lies."""
        if source.scale is None:
            return source.tensor
        old = source.tensor
        made = Tensor(f"{old.name}/floats", old.shape, "float32", old.picture)
        self.add(node, "dequantize_u8", (old,), made, shape=sizes_of(old, source.scale))
        return made

    def moved(self, node: ir.Node) -> Moved:
        """Give what a node moves; bytes stay bytes where the same scale follows, or floats do."""
        source = self.source(node.inputs[0])
        target = self.target(node, clip=False, only=source.scale)
        if target.scale == source.scale:
            return Moved(source.tensor, target)
        return Moved(self.floats(node.inputs[0]), target)

    # ------------------------------------------------------------ what a node gives

    def target(
        self, node: ir.Node, *, clip: bool = True, only: Scale | Literal["any"] | None = "any"
    ) -> Target:
        """Find what the kernel of a node may do at its end: clip, then quantize.

        What is found is taken for done: `give` must follow.

        Args:
            node: A node with one output.
            clip: The kernel can clip.
            only: The scale that it can quantize with; None if it cannot.
        """
        value, low, high = node.outputs[0], -LARGEST, LARGEST
        while clip and (bounds := self._clip_behind(value)) is not None:
            reader, least, most = bounds
            self.absorbed.add(reader)
            low, high = min(max(low, least), most), max(min(high, most), least)
            value = reader.outputs[0]
        readers = self._readers(value)
        scales = {self.scale_of(each) for each in readers if each.op_type == "QuantizeLinear"}
        whole = all(each.op_type == "QuantizeLinear" for each in readers)
        if not readers or value.is_graph_output() or not whole or len(scales) != 1:
            return Target((value,), low, high)
        (scale,) = scales
        if scale is None or only not in ("any", scale):
            return Target((value,), low, high)
        self.absorbed.update(readers)
        return Target(tuple(each.outputs[0] for each in readers), low, high, scale)

    def give(self, target: Target, tensor: Tensor) -> None:
        """Make a tensor known as what a kernel's result is known as."""
        for value in target.values:
            self.sources[value] = Source(tensor)

    def finish(self, node: ir.Node, target: Target, tensor: Tensor) -> None:
        """Make a result known, after it is quantized if it should be and is not."""
        if target.scale is not None and tensor.number == "float32":
            made = Tensor(str(target.values[0].name), tensor.shape, "uint8", tensor.picture)
            self.add(node, "quantize_u8", (tensor,), made, shape=sizes_of(made, target.scale))
            tensor = made
        self.give(target, tensor)

    def give_flattened(self, target: Target, picture: Tensor, shape: tuple[int, ...]) -> None:
        """Make a picture known as a row; it is laid out as one only if something asks for that."""
        row = Tensor(picture.name, shape, picture.number)
        self._flat[row] = picture
        self.give(target, row)

    def tensor(
        self,
        target: Target,
        *,
        like: Tensor | None = None,
        number: Number | None = None,
        picture: bool | None = None,
    ) -> Tensor:
        """Make the tensor that a kernel's result goes into.

        Args:
            target: What it will be known as; the shape is its.
            like: A tensor as which it lies; a picture is one by default if it has four axes.
            number: Type of its elements; the target's by default.
            picture: It lies as a picture.
        """
        value = target.values[0]
        shape = self.shape(value)
        if picture is None:
            picture = len(shape) == 4 and shape[0] == 1 if like is None else like.picture
        return Tensor(str(value.name), shape, number or target.number, picture)

    def add(
        self,
        node: ir.Node,
        kernel: str,
        reads: tuple[Read | Tensor, ...],
        writes: Tensor,
        constants: tuple[NDArray[Any], ...] = (),
        shape: Mapping[str, int | float] | None = None,
        macs: int = 0,
        *,
        part: bool = False,
    ) -> None:
        """Add a layer."""
        name = str(node.name or node.outputs[0].name)
        whole = tuple(each if isinstance(each, Read) else Read(each) for each in reads)
        sizes = dict(shape or {})
        self.layers.append(Layer(name, kernel, whole, writes, constants, sizes, macs, part))

    # ------------------------------------------------------------ how things lie

    def picture(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor as a picture, channels last.

        Raises:
            ModelError: It is no [1, C, H, W].
        """
        if tensor.picture:
            return tensor
        if len(tensor.shape) != 4 or tensor.shape[0] != 1:
            sizes = ", ".join(map(str, tensor.shape))
            raise unsupported(node, f"which works on [{sizes}], not on a picture [1, C, H, W]")
        if tensor not in self._pictures:
            made = Tensor(tensor.name, tensor.shape, tensor.number, picture=True)
            _, channels, height, width = tensor.shape
            if height * width == 1 or channels == 1:
                made = view(tensor, tensor.shape, picture=True)
            else:
                self._move(node, "interleave", tensor, made, made)
            self._pictures[tensor] = made
        return self._pictures[tensor]

    def plain(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor as ONNX has it."""
        if tensor in self._flat:
            picture = self._flat[tensor]
            return view(self.plain(picture, node), tensor.shape, picture=False)
        if not tensor.picture:
            return tensor
        if tensor not in self._plain:
            made = Tensor(tensor.name, tensor.shape, tensor.number)
            if tensor.height * tensor.width == 1 or tensor.channels == 1:
                made = view(tensor, tensor.shape, picture=False)
            else:
                self._move(node, "planes", tensor, made, tensor)
            self._plain[tensor] = made
        return self._plain[tensor]

    def _move(self, node: ir.Node, kernel: str, old: Tensor, new: Tensor, picture: Tensor) -> None:
        sizes = {
            "height": picture.height,
            "width": picture.width,
            "channels": picture.channels,
        }
        self.add(node, f"{kernel}_{old.suffix}", (old,), new, shape=sizes)

    # ------------------------------------------------------------ quantization

    def scale_of(self, node: ir.Node) -> Scale | None:
        """Read one scale and zero point for all; None where channels have their own."""
        scale, zero = (
            self.constant(node.inputs[place]) if place < len(node.inputs) else None
            for place in (1, 2)
        )
        if scale is None or scale.size != 1 or (zero is not None and zero.size != 1):
            return None
        point = 0 if zero is None else int(zero.item())
        signed = zero is not None and zero.dtype.name == "int8"
        return Scale(float(scale.item()), point + 128 * signed, signed)

    def _quantized(self, value: ir.Value) -> Source | None:
        node = value.producer()
        if node is None or node.op_type != "DequantizeLinear" or node.inputs[0] is None:
            return None
        known, scale = self.sources.get(node.inputs[0]), self.scale_of(node)
        return None if known is None or scale is None else Source(known.tensor, scale)

    def _dequantized(self, value: ir.Value, source: Source) -> Tensor:
        old, node = source.tensor, value.producer()
        assert source.scale is not None
        assert node is not None
        made = Tensor(str(value.name), old.shape, "float32", old.picture)
        self.add(node, "dequantize_u8", (old,), made, shape=sizes_of(old, source.scale))
        return made

    def _readers(self, value: ir.Value) -> list[ir.Node]:
        return list(dict.fromkeys(use.node for use in value.uses()))

    def _clip_behind(self, value: ir.Value) -> tuple[ir.Node, float, float] | None:
        readers = self._readers(value)
        if len(readers) != 1 or value.is_graph_output():
            return None
        bounds = clip_bounds(self, readers[0])
        return None if bounds is None else (readers[0], *bounds)

    def _missing(self, value: ir.Value) -> Source:
        raise unsupported(value, "which reads what no layer gives")
