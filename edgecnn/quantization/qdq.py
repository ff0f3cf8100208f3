"""Static quantization of a float core: QDQ, per channel, U8S8 with 7-bit weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.disk import disk_errors
from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.extras import quietly
from edgecnn.graph.clean import clean, from_bytes, to_bytes
from edgecnn.predictor import normalise
from edgecnn.quantization.additions import Scale, even_scales
from edgecnn.quantization.normalisations import convolve_normalisations

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

# Unsigned activations and signed weights are what VNNI multiplies; 7 bits of weight keep AVX2's
# 16-bit sums of two products from saturating, so that every CPU answers the same.
SCHEME = "U8S8, 7-bit weights, per channel, MinMax"
# Calibration keeps every tensor of a run: at 224x224 densenet121 takes 0.4 GB for each image.
_MOST_AT_ONCE, _BYTES_AT_ONCE = 32, 1 << 20


def quantize_core(core: ir.Model, contract: InputContract, images: NDArray[np.uint8]) -> ir.Model:
    """Quantize a float core; nothing is printed.

    Args:
        core: A model with one input, floats in the contract's layout, and without preprocessing.
        contract: Scale, mean, std and layout.
        images: Calibration images, uint8 [M, height, width, channels].

    Returns:
        The same model with QuantizeLinear and DequantizeLinear around its operators, the scales
        around additions such that every CPU rounds them alike.

    Raises:
        ModelError: ONNX Runtime's quantizer refuses the model.
        InputError: The temporary folder is full.
    """
    core = convolve_normalisations(core)
    model = _quantize(core, contract, images, {})
    scales = even_scales(model)
    return _quantize(core, contract, images, scales) if scales else model


def _quantize(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8], scales: dict[str, Scale]
) -> ir.Model:
    import onnx
    from onnxruntime import quantization as ort

    name, batch = _image_input(core)
    proto = onnx.load_model_from_string(to_bytes(core))
    options = {"TensorQuantOverrides": _overrides(scales)} if scales else {}
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "int8.onnx"
        try:
            with quietly(), disk_errors(path):
                ort.quantize_static(
                    proto,
                    path,
                    _Reader(name, _batches(contract, images, batch)),
                    quant_format=ort.QuantFormat.QDQ,
                    activation_type=ort.QuantType.QUInt8,
                    weight_type=ort.QuantType.QInt8,
                    calibrate_method=ort.CalibrationMethod.MinMax,
                    per_channel=True,
                    reduce_range=True,
                    extra_options=options,
                )
        except EdgeCNNError:
            raise
        except Exception as error:  # whatever the quantizer stumbles over
            reason = str(error).strip().partition("\n")[0].rpartition(" : ")[2].rstrip(".")
            raise ModelError(
                f"ONNX Runtime cannot quantize this model: {reason}.", "Keep the fp32 variant."
            ) from error
        return clean(from_bytes(path.read_bytes(), where="The quantized model"))


def _overrides(scales: dict[str, Scale]) -> dict[str, list[dict[str, NDArray[Any]]]]:
    import numpy as np

    return {
        name: [
            {
                "scale": np.array(each.scale, np.float32),
                "zero_point": np.array(each.zero_point, np.uint8),
            }
        ]
        for name, each in scales.items()
    }


class _Reader:
    """What ONNX Runtime's calibration reads from."""

    def __init__(self, name: str, batches: Iterator[NDArray[np.float32]]) -> None:
        self._name = name
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        """Give the next batch by the input's name; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _image_input(core: ir.Model) -> tuple[str, int | None]:
    [image] = core.graph.inputs
    assert image.shape is not None
    batch = image.shape[0]
    return str(image.name), batch if isinstance(batch, int) else None


def _batches(
    contract: InputContract, images: NDArray[np.uint8], batch: int | None
) -> Iterator[NDArray[np.float32]]:
    import numpy as np

    own = _BYTES_AT_ONCE // (4 * math.prod(contract.pixel_shape))
    size = batch or max(1, min(_MOST_AT_ONCE, own))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        if batch and len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        yield normalise(contract, part)
