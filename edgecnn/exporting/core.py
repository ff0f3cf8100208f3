"""From a torch module to the float core of an ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgecnn.errors import ModelError
from edgecnn.extras import quietly
from edgecnn.graph.clean import BATCH, clean, opset
from edgecnn.graph.opset import lower_to_17
from edgecnn.graph.rewrite import name_by_layer, pool_spatial_means
from edgecnn.nets.outputs import named_outputs
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    import onnx_ir as ir

OPSETS = range(17, 24)
IMAGE = "input"
# The exporter writes nothing older.
_OLDEST_WRITTEN = 18
# With a batch of 1 the exporter takes the open batch for a fixed one.
_EXAMPLE_BATCH = 2


def export_core(
    net: nn.Module, contract: InputContract, *, opset_version: int, batch_size: int | None
) -> ir.Model:
    """Export a net without its preprocessing; nothing is printed.

    Args:
        net: The net, in eval mode.
        contract: Size of the input, and the kind of output, after which a single one is called.
        opset_version: 17 to 23.
        batch_size: A fixed batch; None for an open one.

    Returns:
        A model from float32 [N, C, H, W] to the net's outputs, without a trace of this machine.

    Raises:
        ModelError: torch cannot export the net, or not in this opset.
    """
    image = torch.zeros(
        batch_size or _EXAMPLE_BATCH, contract.channels, contract.height, contract.width
    )
    shapes = None if batch_size else ({0: torch.export.Dim(BATCH)},)
    written = max(opset_version, _OLDEST_WRITTEN)
    model = _trace(net, image, shapes, written, contract)
    if opset(model) != written:
        raise ModelError(
            f"torch {torch.__version__} cannot write this net in opset {opset_version}.",
            f"Use --opset {opset(model)}.",
        )
    pool_spatial_means(model)
    name_by_layer(model)
    if opset_version < _OLDEST_WRITTEN:
        lower_to_17(model)
    return clean(model)


def _trace(
    net: nn.Module, image: torch.Tensor, shapes: Any, version: int, contract: InputContract
) -> ir.Model:
    try:
        with quietly(), torch.no_grad():
            outputs = list(named_outputs(net(image), contract))
            program = torch.onnx.export(
                net,
                (image,),
                dynamo=True,
                verbose=False,
                external_data=False,
                opset_version=version,
                input_names=[IMAGE],
                output_names=outputs,
                dynamic_shapes=shapes,
            )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"torch cannot export this net: {_reason(error)}.",
            "Change that part of its forward(); `edgecnn --debug export` shows where it is.",
        ) from error
    assert program is not None
    return program.model


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    if "data-dependent" in str(error):
        return "its forward() decides by the values in a tensor, which a graph cannot hold"
    first = next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
    return first.rstrip(".")
