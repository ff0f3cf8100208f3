"""What cannot be quantized, or need not be, said before anything is run or written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.spec import Variant

# What ONNX Runtime multiplies in integers.
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_QUANTIZED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
    }
)
_MOST_NAMED = 3


def refuse(core: ir.Model, source: Variant) -> None:
    """Refuse a float core that is quantized already, has nothing to quantize, or is damaged.

    Args:
        core: A float core, without preprocessing.
        source: The variant that it was read from.

    Raises:
        ModelError: It is one of these.
    """
    _refuse_quantized(core, source)
    _refuse_several_inputs(core, source)
    _refuse_without_constants(core, source)
    _refuse_not_finite(core, source)
    _refuse_wrong_graph(core, source)


def _refuse_wrong_graph(core: ir.Model, source: Variant) -> None:
    import onnx_ir as ir

    from edgecnn.graph.limits import Refusal
    from edgecnn.graph.shapes import static_shapes

    try:
        static_shapes(ir.to_proto(core))
    except Refusal as refusal:
        raise ModelError(
            f"The variant '{source.name}' {refusal.reason}.",
            refusal.remedy or "Export it anew with `edgecnn export`, or import it again.",
        ) from refusal


def _refuse_quantized(core: ir.Model, source: Variant) -> None:
    found = [node for node in core.graph.all_nodes() if node.op_type in _QUANTIZED]
    if found:
        raise ModelError(
            f"The variant '{source.name}' holds {_named(found)}: it is quantized already.",
            "Import the float file that it was made from, with `edgecnn import`.",
        )


def _refuse_several_inputs(core: ir.Model, source: Variant) -> None:
    names = [str(value.name) for value in core.graph.inputs]
    if len(names) != 1:
        raise ModelError(
            f"The variant '{source.name}' has {len(names)} inputs ({', '.join(names)}), and images "
            "calibrate only one.",
            "Export it with the others as constants, such as its weights.",
        )


def _refuse_without_constants(core: ir.Model, source: Variant) -> None:
    layers = [node for node in core.graph.all_nodes() if node.op_type in LAYERS]
    if not layers:
        raise ModelError(
            f"The variant '{source.name}' has no {', '.join(LAYERS[:-1])} or {LAYERS[-1]}: "
            "there is nothing that int8 makes cheaper.",
            f"Keep {source.name}.",
        )
    if not any(_has_constant_weights(node) for node in layers):
        raise ModelError(
            f"The weights of {_named(layers)} in the variant '{source.name}' are computed while "
            "it runs, and only constants are quantized beforehand.",
            "Export it with its weights as constants (in torch, after `model.eval()`).",
        )


def _refuse_not_finite(core: ir.Model, source: Variant) -> None:
    broken = [str(value.name) for value in _constants(core) if not _is_finite(value)]
    if broken:
        raise ModelError(
            f"The variant '{source.name}' has NaN or infinite weights, in {_listed(broken)}.",
            "Train or convert the net again: no scale fits such weights.",
        )


def _has_constant_weights(node: ir.Node) -> bool:
    return any(_is_constant(value) for value in node.inputs[:2])


def _is_constant(value: ir.Value | None) -> bool:
    if value is None:
        return False
    maker = value.producer()
    return value.const_value is not None or (maker is not None and maker.op_type == "Constant")


def _constants(core: ir.Model) -> Iterator[ir.Value]:
    yield from core.graph.initializers.values()
    for node in core.graph.all_nodes():
        if node.op_type == "Constant":
            yield node.outputs[0]


def _is_finite(value: ir.Value) -> bool:
    import numpy as np

    numbers = None if value.const_value is None else value.const_value.numpy()
    return numbers is None or numbers.dtype.kind != "f" or bool(np.isfinite(numbers).all())


def _named(nodes: list[ir.Node]) -> str:
    return _listed(
        [f"{node.op_type} '{node.name}'" if node.name else node.op_type for node in nodes]
    )


def _listed(names: list[str]) -> str:
    text = ", ".join(names[:_MOST_NAMED])
    return text if len(names) <= _MOST_NAMED else f"{text} and {len(names) - _MOST_NAMED} more"
