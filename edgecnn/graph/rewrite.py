"""Rewrites of an exported graph: what it computes stays, how it is written changes."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"


def pool_spatial_means(model: ir.Model) -> None:
    """Turn each mean over height and width into an AveragePool over all of it, in place.

    torch writes adaptive pooling as ReduceMean, which ONNX Runtime computes in float even between
    int8 operators; pooling stays in int8. GlobalAveragePool would, too, but x86 and arm CPUs round
    its halves differently.

    Args:
        model: A model whose inner shapes are known, as the exporter leaves them.
    """
    import onnx_ir as ir

    for node in list(model.graph):
        if not _is_spatial_mean(node):
            continue
        mean = node.outputs[0]
        image = node.inputs[0]
        assert image is not None
        pool = ir.node(
            "AveragePool",
            [image],
            {"kernel_shape": _height_and_width(image)},
            metadata_props=node.metadata_props,
        )
        nodes = [pool]
        if not _integer(node, "keepdims", default=1):
            pool.outputs[0].name = f"{mean.name}_pooled"
            nodes.append(
                ir.node("Flatten", pool.outputs, {"axis": 1}, metadata_props=node.metadata_props)
            )
        ir.convenience.replace_nodes_and_values(
            model.graph, node, [node], nodes, [mean], [nodes[-1].outputs[0]]
        )


def name_by_layer(model: ir.Model) -> None:
    """Name nodes and inner tensors by the net's own layers, such as `layer1.conv1/Conv`, in place.

    Args:
        model: A model as the exporter leaves it, with torch's scopes in its metadata.
    """
    seen: Counter[str] = Counter()
    for node in model.graph:
        layer = _layer(node)
        name = f"{layer}/{node.op_type}" if layer else node.op_type
        node.name = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        for number, value in enumerate(node.outputs):
            if not value.is_graph_output():
                value.name = f"{node.name}:{number}" if number else node.name


def constant_ints(value: ir.Value | None) -> list[int] | None:
    """Give the integers that a constant tensor holds; None if it is not constant."""
    if value is None or value.const_value is None:
        return None
    return [int(number) for number in value.const_value.numpy().ravel()]


def _is_spatial_mean(node: ir.Node) -> bool:
    image = node.inputs[0] if node.inputs else None
    if node.op_type != "ReduceMean" or image is None or image.shape is None:
        return False
    axes = constant_ints(node.inputs[1]) if len(node.inputs) > 1 else None
    spatial = sorted(axis % 4 for axis in axes or []) == [2, 3]
    return spatial and len(image.shape) == 4 and len(_height_and_width(image)) == 2


def _height_and_width(image: ir.Value) -> list[int]:
    assert image.shape is not None
    return [size for size in image.shape[2:] if isinstance(size, int)]


def _integer(node: ir.Node, name: str, *, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _layer(node: ir.Node) -> str:
    # A layer with weights is named by them: a batch normalisation that was folded into a
    # convolution has left its own scope on it.
    for value in node.inputs[1:]:
        if value is not None and (value.name or "").endswith(".weight"):
            return str(value.name).removesuffix(".weight")
    scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    return scopes[-2] if len(scopes) > 1 else ""
