"""Run a float core on real images and count the values of every tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.graph.clean import to_bytes
from edgecnn.quantization.calibration.histogram import Histogram, count, merge
from edgecnn.quantization.running import batches, image_input, open_core

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract


def observe(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8]
) -> dict[str, Histogram]:
    """Count the values of every float tensor that depends on the image.

    Memory does not grow with the number of images.

    Args:
        core: A model with one input, floats in the contract's layout.
        contract: Scale, mean, std and layout.
        images: uint8 [M, height, width, channels].

    Returns:
        What was seen, by the names of the tensors; the input's is among them.

    Raises:
        ModelError: ONNX Runtime refuses the model, or a tensor is NaN or infinite.
    """
    name, batch = image_input(core)
    session, wanted = _session(core)
    found: dict[str, Histogram] = {}
    for values in batches(contract, images, batch):
        run = dict(zip(wanted, session.run(wanted, {name: values}), strict=True)) if wanted else {}
        for tensor, array in {name: values, **run}.items():
            _add(found, tensor, array)
    return found


def _session(core: ir.Model) -> tuple[Any, list[str]]:
    """Open a core whose float tensors are all outputs; give their names, too."""
    import onnx

    proto = onnx.load_model_from_string(to_bytes(core))
    own = {output.name for output in proto.graph.output}
    computed = [name for node in proto.graph.node for name in node.output if name]
    proto.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in computed if name not in own
    )
    session = open_core(proto.SerializeToString())
    floats = [each.name for each in session.get_outputs() if each.type == "tensor(float)"]
    return session, floats


def _add(found: dict[str, Histogram], tensor: str, array: NDArray[np.float32]) -> None:
    import numpy as np

    if not array.size:
        return
    if not np.isfinite(array).all():
        raise ModelError(
            f"The tensor '{tensor}' is NaN or infinite on a calibration image.",
            "Check the weights and the preprocessing; nothing was written.",
        )
    seen = count(array)
    found[tensor] = merge(found[tensor], seen) if tensor in found else seen
