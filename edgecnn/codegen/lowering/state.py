"""What is known while a graph is lowered: where each value is, and the layers so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.codegen.lowering.clipping import clip_bounds
from edgecnn.codegen.lowering.layouts import Layouts
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.scales import constant_of, scale_of
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
        layouts: How tensors lie.
    """

    graph: ir.Graph
    shapes: Mapping[str, tuple[int, ...]]
    layers: list[Layer] = field(default_factory=list)
    sources: dict[ir.Value, Source] = field(default_factory=dict)
    absorbed: set[ir.Node] = field(default_factory=set)
    _floats: dict[ir.Value, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layouts = Layouts(self.layers)

    # ------------------------------------------------------------ what a node reads

    def constant(self, value: ir.Value | None) -> NDArray[Any] | None:
        """Give a constant's numbers; None of what is computed, or missing."""
        return constant_of(value)

    def source(self, value: ir.Value | None) -> Source:
        """Give a value as it is at hand: as floats, or as bytes behind a DequantizeLinear."""
        found = self.at_hand(value)
        return Source(self.layouts.settled(found.tensor, self._giver(value)), found.scale)

    def at_hand(self, value: ir.Value | None) -> Source:
        """Give a value as `source` does; what was only moved may still lie in another order."""
        assert value is not None
        found = self._quantized(value) or self.sources.get(value)
        if found is None and value.const_value is not None:
            found = self.sources[value] = self._constant(value, value.const_value.numpy(), None)
        return found or self._missing(value)

    def floats(self, value: ir.Value | None) -> Tensor:
        """Give a value as floats; a DequantizeLinear is computed where nothing else will do."""
        assert value is not None
        if value not in self._floats:
            found = self.sources.get(value) or self.at_hand(value)
            settled = Source(self.layouts.settled(found.tensor, self._giver(value)), found.scale)
            name = str(value.name)
            self._floats[value] = self.as_floats(settled, self._giver(value), name)
        return self._floats[value]

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
        source = self.at_hand(value)
        picture = self.layouts.picture_of(source.tensor)
        if picture is not None:
            return Source(view(picture, source.tensor.shape, picture=False), source.scale), picture
        return Source(self.plain(source.tensor, node), source.scale), None

    def as_floats(self, source: Source, node: ir.Node, name: str = "") -> Tensor:
        """Give a source as floats, as it lies."""
        old = source.tensor
        if source.scale is None and old.number == "float32":
            return old
        if source.scale is None:
            raise unsupported(node, "which computes with whole numbers")
        made = Tensor(name or f"{old.name}/floats", old.shape, "float32", old.picture)
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
        self,
        node: ir.Node,
        *,
        clip: bool = True,
        only: Scale | Literal["any"] | None = "any",
        output: int = 0,
    ) -> Target:
        """Find what the kernel of a node may do at its end: clip, then quantize.

        What is found is taken for done: `give` must follow.

        Args:
            node: A node.
            clip: The kernel can clip.
            only: The scale that it can quantize with; None if it cannot.
            output: Which of the node's outputs it is about.
        """
        value, low, high = node.outputs[output], -LARGEST, LARGEST
        while clip and (bounds := self._clip_behind(value)) is not None:
            reader, least, most = bounds
            self.absorbed.add(reader)
            low, high = min(max(low, least), most), max(min(high, most), least)
            value = reader.outputs[0]
        scale = self.scale_behind(value)
        if scale is None or only not in ("any", scale):
            return Target((value,), low, high)
        readers = self.readers(value)
        self.absorbed.update(readers)
        return Target(tuple(each.outputs[0] for each in readers), low, high, scale)

    def scale_behind(self, value: ir.Value) -> Scale | None:
        """Give the scale with which all who read a value quantize it; None if they do not."""
        readers = self.readers(value)
        if value.is_graph_output() or any(each.op_type != "QuantizeLinear" for each in readers):
            return None
        scales = {scale_of(each) for each in readers}
        return scales.pop() if len(scales) == 1 else None

    def readers(self, value: ir.Value) -> list[ir.Node]:
        """Give the nodes that read a value, each once."""
        return list(dict.fromkeys(use.node for use in value.uses()))

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

    def tensor(
        self,
        target: Target,
        *,
        like: Tensor | None = None,
        number: Number | None = None,
        picture: bool | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Make the tensor that a kernel's result goes into.

        Args:
            target: What it will be known as; the shape is its by default.
            like: A tensor as which it lies; a picture is one by default if it has four axes.
            number: Type of its elements; the target's by default.
            picture: It lies as a picture.
            shape: Its shape.
        """
        value = target.values[0]
        shape = shape or self.shape(value)
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
        return self.layouts.picture(tensor, node)

    def plain(self, tensor: Tensor, node: ir.Node) -> Tensor:
        """Give a tensor as ONNX has it."""
        return self.layouts.plain(tensor, node)

    # ------------------------------------------------------------ where values come from

    def _quantized(self, value: ir.Value) -> Source | None:
        node = value.producer()
        if node is None or node.op_type != "DequantizeLinear" or node.inputs[0] is None:
            return None
        read, scale = node.inputs[0], scale_of(node)
        if scale is not None and read not in self.sources and read.const_value is not None:
            self.sources[read] = self._constant(read, read.const_value.numpy(), scale)
        known = self.sources.get(read)
        return None if known is None or scale is None else Source(known.tensor, scale)

    def _constant(self, value: ir.Value, numbers: NDArray[Any], scale: Scale | None) -> Source:
        """Put constants where kernels find what is computed."""
        import numpy as np

        if numbers.size == 0:
            raise unsupported(value, "which reads no numbers at all")
        if scale is None:
            numbers = numbers.astype(np.float32)
        elif numbers.dtype == np.int8:
            numbers = numbers.view(np.uint8) ^ np.uint8(128)
        kind: Number = "float32" if scale is None else "uint8"
        made = Tensor(str(value.name), numbers.shape, kind)
        sizes = {"size": made.size}
        layer = Layer(made.name, f"constant_{made.suffix}", (), made, (numbers,), sizes)
        self.layers.append(layer)
        return Source(made)

    def _giver(self, value: ir.Value | None) -> ir.Node:
        """Give the node after which copies of a value are named."""
        assert value is not None
        node = value.producer()
        return next(use.node for use in value.uses()) if node is None else node

    def _clip_behind(self, value: ir.Value) -> tuple[ir.Node, float, float] | None:
        readers = self.readers(value)
        if len(readers) != 1 or value.is_graph_output():
            return None
        bounds = clip_bounds(self, readers[0])
        return None if bounds is None else (readers[0], *bounds)

    def _missing(self, value: ir.Value | None) -> Source:
        raise unsupported(value, "which reads what no layer gives")
