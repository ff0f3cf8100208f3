"""Copies of a graph that show what is inside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from edgecnn.agreement.layers.tensors import declared
from edgecnn.graph.walk import least_bytes

if TYPE_CHECKING:
    from onnx import ModelProto

GIVEN = "/given"


def tapped(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Copy a model with tensors inside it as further outputs.

    Args:
        model: Whose nodes are in the order they run; it is left as it is.
        names: The tensors; the graph's own outputs may be among them.
    """
    twin = _copy(model)
    known = {output.name for output in model.graph.output}
    twin.graph.output.extend(declared(model, [name for name in names if name not in known]))
    return twin


def cut(model: ModelProto, names: Collection[str]) -> ModelProto:
    """Copy a model in which the tensors named are computed, but others are read in their place.

    So each layer computes from what is given for the tensors before it, and not from what the
    layers before it made of the input. All of them are outputs; those that something reads are
    inputs too, under their name and `/given`.

    Args:
        model: Whose nodes are in the order they run; it is left as it is.
        names: The tensors.
    """
    twin = tapped(model, list(names))
    read = {name for node in model.graph.node for name in node.input} & set(names)
    for node in twin.graph.node:
        for place, name in enumerate(node.input):
            if name in read:
                node.input[place] = f"{name}{GIVEN}"
    for value in declared(model, sorted(read)):
        value.name = f"{value.name}{GIVEN}"
        twin.graph.input.append(value)
    return twin


def inner_bytes(model: ModelProto, names: Collection[str]) -> int:
    """Give the bytes that tensors take together at batch 1."""
    return sum(least_bytes(value.type) for value in declared(model, list(names)))


def _copy(model: ModelProto) -> ModelProto:
    from onnx import ModelProto as Model

    twin = Model()
    twin.CopyFrom(model)
    # Exporters leave wrong shapes there, which strict engines refuse.
    del twin.graph.value_info[:]
    return twin
