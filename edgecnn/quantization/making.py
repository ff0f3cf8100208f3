"""From a float core and real images to an int8 core, after a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.quantization.additions import even_scales
from edgecnn.quantization.answers import answer_in_float
from edgecnn.quantization.calibration import Histogram, observe, take_ranges
from edgecnn.quantization.correcting import CORRECTIONS
from edgecnn.quantization.hard_sigmoids import round_as_hard_sigmoids
from edgecnn.quantization.pixels import pixel_range
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.preparing import prepare
from edgecnn.quantization.qdq import write_qdq

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract


@dataclass(frozen=True, eq=False)
class Subject:
    """A float core, prepared and observed: what plans that prepare it alike begin with.

    Attributes:
        core: The prepared core.
        contract: Scale, mean, std and layout of its input.
        images: The calibration images, uint8 [M, height, width, channels].
        observed: What its activations were on them, by the names of the tensors.
    """

    core: ir.Model
    contract: InputContract
    images: NDArray[np.uint8]
    observed: Mapping[str, Histogram]


def observe_subject(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8], plan: Plan
) -> Subject:
    """Prepare a float core as a plan asks for, and run it on the calibration images.

    Raises:
        ModelError: ONNX Runtime refuses the model, or a tensor is NaN or infinite.
    """
    prepared = prepare(core, plan.preparations)
    return Subject(prepared, contract, images, observe(prepared, contract, images))


def make_int8(subject: Subject, plan: Plan) -> ir.Model:
    """Quantize a prepared core: QDQ, scales around additions such that every CPU rounds them alike.

    Where a fully connected layer gives the answers, they are not rounded to 8 bits. The input's
    range is what pixels from 0 to 255 become, whatever the images. Where the preparations name
    `gates`, rounding computes each HardSigmoid that can be had so.

    Args:
        subject: What `observe_subject` gave for a plan with the same preparations.
        plan: The number formats, the ranges, the corrections and what stays in float.

    Raises:
        ModelError: ONNX Runtime's quantizer refuses the model.
        InputError: The temporary folder is full.
    """
    ranges = take_ranges(subject.observed, plan.calibration, symmetric=plan.scheme.symmetric)
    ranges[str(subject.core.graph.inputs[0].name)] = pixel_range(subject.contract)
    model = write_qdq(subject.core, ranges, plan)
    scales = even_scales(model)
    if scales:
        model = write_qdq(subject.core, ranges, plan, scales)
    model = answer_in_float(model, subject.core)
    if "gates" in plan.preparations:
        model = round_as_hard_sigmoids(model)
    for name in plan.corrections:
        model = CORRECTIONS[name](model, subject.core, subject.contract, subject.images)
    return model


def quantize_core(
    core: ir.Model, contract: InputContract, images: NDArray[np.uint8], plan: Plan | None = None
) -> ir.Model:
    """Quantize a float core on calibration images; nothing is printed.

    Args:
        core: A model with one input, floats in the contract's layout, and without preprocessing.
        contract: Scale, mean, std and layout.
        images: Calibration images, uint8 [M, height, width, channels].
        plan: How; the safe scheme and the ends of the ranges by default.

    Returns:
        The same model with QuantizeLinear and DequantizeLinear around its operators.

    Raises:
        ModelError: ONNX Runtime refuses the model, or its quantizer does.
        InputError: The temporary folder is full.
    """
    plan = plan or Plan()
    return make_int8(observe_subject(core, contract, images, plan), plan)
