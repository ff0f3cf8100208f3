"""Run a core in ONNX Runtime, as a deployed session would run it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.graph.clean import to_bytes
from edgecnn.predictor import normalise

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

# Calibration keeps every tensor of a run: at 224x224 densenet121 takes 0.4 GB for each image.
_MOST_AT_ONCE, _BYTES_AT_ONCE = 32, 1 << 20


def run_core(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Run a core, float or quantized, on images, with the options that a session has by default.

    Args:
        core: A model with one input, floats in the contract's layout.
        contract: Scale, mean, std and layout.
        images: uint8 [M, height, width, channels].

    Returns:
        Every output by its name, in order, the images' rows stacked; [M, …].

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    import numpy as np

    name, batch = image_input(core)
    session = open_core(to_bytes(core))
    names = [output.name for output in session.get_outputs()]
    parts = [session.run(names, {name: values}) for values in batches(contract, images, batch)]
    return {
        name: np.concatenate(columns)[: len(images)]
        for name, columns in zip(names, zip(*parts, strict=True), strict=True)
    }


def image_input(core: ir.Model) -> tuple[str, int | None]:
    """Give the name of a core's input, and its batch if that is fixed."""
    [image] = core.graph.inputs
    assert image.shape is not None
    batch = image.shape[0]
    return str(image.name), batch if isinstance(batch, int) else None


def batches(
    contract: InputContract, images: NDArray[np.uint8], batch: int | None
) -> Iterator[NDArray[np.float32]]:
    """Give images as a core takes them, some at a time; a fixed batch is filled with the last.

    Args:
        contract: Scale, mean, std and layout.
        images: uint8 [M, height, width, channels].
        batch: The core's batch; None if it is open.
    """
    import numpy as np

    own = _BYTES_AT_ONCE // (4 * math.prod(contract.pixel_shape))
    size = batch or max(1, min(_MOST_AT_ONCE, own))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        if batch and len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        yield normalise(contract, part)


def open_core(content: bytes) -> Any:
    """Open an ONNX file on the CPU with the options that a session has by default.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).partition("\n")[0].rpartition(" : ")[2].rstrip(".")
        raise ModelError(
            f"ONNX Runtime refuses the model: {reason}.", "Keep the fp32 variant."
        ) from error
