"""A foreign graph in the form that the rest of edgecnn works on; what it computes stays.

Files come with their weights beside them or among their inputs, in old operators, and with nodes
that have no names. See `folding` for weights that are computed.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.graph.prefix import NAMESPACE, PIXELS
from edgecnn.graph.shapes import real_inputs

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto

# Per-channel int8 needs opset 13; 17 is the oldest that edgecnn writes itself, 23 the newest.
PER_CHANNEL_OPSET, OLDEST_WRITTEN, NEWEST_WRITTEN = 13, 17, 23


def opset_of(model: ModelProto) -> int:
    """Give the version of ONNX's own operators that a model uses."""
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)


def with_input(model: ModelProto, name: str, shape: tuple[int, ...]) -> ModelProto:
    """Copy a model with another shape of one input."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        if value.name == name:
            axes = value.type.tensor_type.shape.dim
            for axis, size in zip(axes, shape, strict=True):
                axis.dim_value = size
    return copy


def to_ir(model: ModelProto) -> ir.Model:
    """Turn a model into one that can be changed."""
    import onnx_ir as ir

    return ir.from_proto(model)


def take_in_weights(model: ModelProto, folder: Path) -> None:
    """Bring weights that lie in files beside the model into it, in place.

    Args:
        model: A model that has passed the gate.
        folder: Where the model's file lies.
    """
    from onnx.external_data_helper import load_external_data_for_model

    load_external_data_for_model(model, str(folder))


def drop_declared_weights(model: ModelProto) -> int:
    """Take weights out of the inputs, where old files list them; give how many there were."""
    real = real_inputs(model.graph)
    count = len(model.graph.input) - len(real)
    if count:
        del model.graph.input[:]
        model.graph.input.extend(real)
    # IR 3 demands them there.
    model.ir_version = max(model.ir_version, 4)
    return count


def suitable_opset(opset: int) -> int:
    """Give the opset that a file of this one is converted to: its own, where that is well known.

    >>> [suitable_opset(opset) for opset in (7, 12, 13, 21, 28)]
    [17, 17, 13, 21, 23]
    """
    if opset < PER_CHANNEL_OPSET:
        return OLDEST_WRITTEN
    return min(opset, NEWEST_WRITTEN)


def convert(model: ModelProto, opset: int) -> ModelProto:
    """Convert a model to another opset with onnx's own converter.

    Raises:
        ModelError: The converter cannot.
    """
    from onnx import checker, version_converter

    try:
        converted = version_converter.convert_version(model, opset)
        checker.check_model(converted)
    except Exception as error:  # whatever the converter stumbles over
        reason = str(error).strip().partition("\n")[0].rpartition(" failed: ")[2].rstrip(".")
        raise ModelError(
            f"onnx's converter cannot bring opset {opset_of(model)} to {opset} ({reason}).",
            f"Export the model again in opset {OLDEST_WRITTEN} to {NEWEST_WRITTEN}.",
        ) from error
    return converted


def name_nodes(model: ir.Model) -> None:
    """Give every node a name of its own, and free the names that edgecnn uses itself, in place."""
    graph = model.graph
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for node in graph:
        base = name = (node.name or node.op_type).removeprefix(NAMESPACE)
        while name in taken:
            times[base] += 1
            name = f"{base}_{times[base]}"
        node.name = name
        taken.add(name)
    outputs = [value for node in graph for value in node.outputs]
    for value in (*graph.inputs, *outputs, *list(graph.initializers.values())):
        if value.name == PIXELS or (value.name or "").startswith(NAMESPACE):
            _rename(graph, value, f"net_{str(value.name).removeprefix(NAMESPACE)}")


def _rename(graph: ir.Graph, value: ir.Value, name: str) -> None:
    registered = graph.initializers.pop(str(value.name), None)
    value.name = name
    if registered is not None:
        graph.register_initializer(value)


def flatten_output(model: ir.Model, name: str) -> None:
    """Make an output of [N, classes, 1, 1] one of [N, classes], under its old name, in place."""
    import onnx_ir as ir

    graph = model.graph
    place = [value.name for value in graph.outputs].index(name)
    old = graph.outputs[place]
    new = ir.Value(name=name, type=old.type)
    old.name = f"{name}_unflattened"
    node = ir.node("Flatten", [old], {"axis": 1}, outputs=[new], name=f"{name}_flatten")
    graph.append(node)
    graph.outputs[place] = new


def declare(model: ir.Model, image: tuple[int | str, ...], outputs: dict[str, Any]) -> None:
    """Write shapes to a model's input and outputs, in place.

    Args:
        model: A model with one input.
        image: Shape of the input.
        outputs: Shape of each output by its name.
    """
    import onnx_ir as ir

    model.graph.inputs[0].shape = ir.Shape(image)
    for value in model.graph.outputs:
        value.shape = ir.Shape(outputs[str(value.name)])


def single_elements(shape: tuple[int, ...]) -> bool:
    """Say whether only the batch and the classes of [N, classes, 1, 1] have more than one."""
    return len(shape) > 2 and shape[1] > 1 and math.prod(shape[2:]) == 1
