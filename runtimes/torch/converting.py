"""From a bundle's PyTorch net to a program that this runtime reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from edgecnn.errors import InputError, ModelError
from edgecnn.runtime import Converted, TensorSpec, Variant

from .program import Program, one_line, write_calls

_OPEN = "N"
# With a batch of 1 torch.export takes the open batch for a fixed one.
_EXAMPLE_BATCH = 2


def write_program(source: Variant, folder: Path, name: str, net: Any) -> Converted:
    """Write a net as a program, its batch as in the variant that it will be held against.

    Args:
        source: The bundle's fp32 variant.
        folder: Where the file goes.
        name: Name of the new variant.
        net: `edgecnn.nets.PixelNet`.

    Raises:
        InputError: The variant is no fp32 one that takes pixels.
        ModelError: torch.export cannot trace the net, or its graph holds more than operators.
    """
    if source.precision != "fp32" or not source.preprocessing:
        raise InputError(
            f"A variant for PyTorch is made of the net itself, in fp32 and with its preprocessing, "
            f"so it cannot be made from '{source.name}'.",
            "Leave --from out.",
        )
    exported = _trace(net, source.batch)
    program = _program(exported, net, is_open=source.batch == "dynamic")
    file = f"{name}.torch.safetensors"
    program.save(folder / file)
    return Converted((file,), batch=source.batch, settings={"torch": str(torch.__version__)})


def _trace(net: Any, batch: int | str) -> torch.export.ExportedProgram:
    is_open = isinstance(batch, str)
    example = net.example(_EXAMPLE_BATCH if is_open else batch)
    shapes = ({0: torch.export.Dim(_OPEN)},) if is_open else None
    try:
        return torch.export.export(net, (example,), dynamic_shapes=shapes)
    except Exception as error:
        problem = f"torch.export cannot trace the net: {one_line(error)}."
        raise ModelError(problem, "Change that part of its forward().") from error


def _program(exported: torch.export.ExportedProgram, net: Any, *, is_open: bool) -> Program:
    signature = exported.graph_signature
    nodes = {node.name: node for node in exported.graph.nodes}
    inputs, results = list(signature.user_inputs), list(signature.user_outputs)
    values: Mapping[str, Any] = {**exported.state_dict, **exported.constants}
    kept = {
        spec.arg.name: values[str(spec.target)]
        for spec in signature.input_specs
        if spec.target is not None and nodes[spec.arg.name].users
    }
    return Program(
        inputs=tuple(_specs(inputs, [net.input_name], nodes, is_open=is_open)),
        outputs=tuple(_specs(results, net.output_names, nodes, is_open=is_open)),
        given=tuple(map(str, inputs)),
        calls=tuple(write_calls(exported.graph)),
        results=tuple(map(str, results)),
        weights=kept,
    )


def _specs(
    used: Iterable[object], names: Iterable[str], nodes: Mapping[str, Any], *, is_open: bool
) -> Iterator[TensorSpec]:
    for node, name in zip(used, names, strict=True):
        value = nodes[str(node)].meta["val"]
        fixed = tuple(map(int, value.shape[1:]))
        first = _OPEN if is_open else int(value.shape[0])
        yield TensorSpec(name, str(value.dtype).removeprefix("torch."), (first, *fixed))
