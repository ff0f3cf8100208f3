"""What is done to a float core before it is calibrated; it still computes the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgecnn.quantization.normalisations import convolve_normalisations
from edgecnn.quantization.pools import pool_whole_maps
from edgecnn.quantization.preparations.folding import fold_into_convolutions
from edgecnn.quantization.preparations.gates import open_gates

if TYPE_CHECKING:
    import onnx_ir as ir

PREPARATIONS: dict[str, Callable[[ir.Model], ir.Model]] = {
    "folding": fold_into_convolutions,
    "normalisations": convolve_normalisations,
    "pools": pool_whole_maps,
    "gates": open_gates,
}


def prepare(core: ir.Model, preparations: Sequence[str]) -> ir.Model:
    """Prepare a float core and give every node a name, by which a plan can speak of it.

    Args:
        core: A float core; it is left as it is.
        preparations: Names in `PREPARATIONS`, in order.
    """
    model = core.clone()
    for name in preparations:
        model = PREPARATIONS[name](model)
    _name_nodes(model)
    return model


def _name_nodes(model: ir.Model) -> None:
    taken = {node.name for node in model.graph}
    for number, node in enumerate(model.graph):
        if not node.name:
            name = f"{node.op_type}_{number}"
            node.name = name if name not in taken else f"{name}_{node.outputs[0].name}"
