"""Static quantization of a float core by ONNX Runtime's quantizer: QDQ, per channel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.disk import disk_errors, temporary_folder
from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.extras import quietly
from edgecnn.graph.clean import clean, from_bytes, to_bytes
from edgecnn.quantization.additions import Scale
from edgecnn.quantization.levels import Overrides, bounded_levels

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

    from edgecnn.quantization.calibration import Range
    from edgecnn.quantization.plan import Plan
    from edgecnn.quantization.schemes import Scheme


def write_qdq(
    core: ir.Model,
    ranges: Mapping[str, Range],
    plan: Plan,
    scales: Mapping[str, Scale] | None = None,
) -> ir.Model:
    """Write a quantized form of a float core.

    Args:
        core: A prepared float core, each node named; it is left as it is.
        ranges: The range of every float tensor that depends on the image, by its name.
        plan: The scheme, and what stays in float.
        scales: Scales and zero points that stand instead of those of the ranges, by tensor.

    Raises:
        ModelError: ONNX Runtime's quantizer refuses the model.
        InputError: The temporary folder is full.
    """
    import onnx

    proto = onnx.load_model_from_string(to_bytes(core))
    overrides = _overrides(scales or {}, plan.scheme)
    if plan.scheme.bounded:
        overrides |= bounded_levels(core)
    with temporary_folder() as folder:
        path = folder / "int8.onnx"
        try:
            with quietly(), disk_errors(path):
                _quantize(proto, path, ranges, plan, overrides)
        except EdgeCNNError:
            raise
        except Exception as error:  # whatever the quantizer stumbles over
            reason = str(error).strip().partition("\n")[0].rpartition(" : ")[2].rstrip(".")
            raise ModelError(
                f"ONNX Runtime cannot quantize this model: {reason}.", "Keep the fp32 variant."
            ) from error
        return clean(from_bytes(path.read_bytes(), where="The quantized model"))


def _quantize(
    proto: onnx.ModelProto,
    path: Path,
    ranges: Mapping[str, Range],
    plan: Plan,
    overrides: Overrides,
) -> None:
    from onnxruntime import quantization as ort

    kinds = {"uint8": ort.QuantType.QUInt8, "int8": ort.QuantType.QInt8}
    scheme = plan.scheme
    ort.quantize_static(
        proto,
        path,
        quant_format=ort.QuantFormat.QDQ,
        activation_type=kinds[scheme.activations],
        weight_type=kinds[scheme.weights],
        # With the ranges in a file, the quantizer runs nothing itself.
        calibration_cache_path=_write_ranges(ranges, path.with_name("ranges.json")),
        calibrate_method=ort.CalibrationMethod.MinMax,
        per_channel=True,
        reduce_range=scheme.bounded,
        nodes_to_exclude=list(plan.in_float),
        extra_options={
            "ActivationSymmetric": scheme.symmetric,
            "TensorQuantOverrides": overrides,
        },
    )


def _write_ranges(ranges: Mapping[str, Range], path: Path) -> Path:
    import numpy as np
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data

    ends = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, ends), path)
    return path


def _overrides(scales: Mapping[str, Scale], scheme: Scheme) -> Overrides:
    import numpy as np

    return {
        name: [
            {
                "scale": np.array(each.scale, np.float32),
                "zero_point": np.array(each.zero_point, scheme.activations),
            }
        ]
        for name, each in scales.items()
    }
