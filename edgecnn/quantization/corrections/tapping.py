"""Run a core on images and look at tensors inside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgecnn.graph.clean import to_bytes
from edgecnn.quantization.running import batches, image_input, open_core

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract


# Corrections run a net once for each layer: of large pictures, which hold many places, fewer do.
_LEAST_IMAGES, _PIXELS = 64, 1 << 20


def enough(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give as many images, evenly spread, as means and covariances need: 64, or a megapixel.

    Args:
        images: uint8 [M, height, width, channels].
    """
    import numpy as np

    most = max(_LEAST_IMAGES, _PIXELS // (images.shape[1] * images.shape[2]))
    count = min(len(images), most)
    chosen: NDArray[np.uint8] = images[np.arange(count) * len(images) // count]
    return chosen


def tap(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8], tensors: Sequence[str]
) -> Iterator[list[NDArray[np.float32]]]:
    """Give float tensors of a core, some images at a time; what they do not need is not run.

    Args:
        core: A model with one input, floats in the contract's layout.
        contract: Scale, mean, std and layout.
        images: uint8 [M, height, width, channels].
        tensors: Names of float tensors; the input's may be among them.

    Yields:
        The tensors, in order, of the next images.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    import onnx

    name, batch = image_input(core)
    proto = onnx.load_model_from_string(to_bytes(core))
    computed = [tensor for tensor in dict.fromkeys(tensors) if tensor != name]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in computed)
    session = open_core(proto.SerializeToString()) if computed else None
    left = len(images)
    for values in batches(contract, images, batch):
        run = session.run(computed, {name: values}) if session is not None else []
        found = {name: values, **dict(zip(computed, run, strict=True))}
        # A fixed batch is filled up with copies of the last image.
        yield [found[tensor][:left] for tensor in tensors]
        left -= len(values)
