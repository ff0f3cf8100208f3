"""Which plan a net is quantized after, found on the selection images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.progress import Progress
from edgecnn.quantization.calibration.choosing import Chosen, Images, choose
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.schemes import Scheme

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.spec import InputContract


# Ways to take ranges that are compared if none is named, the simplest first. On the nets seen so
# far entropy was the best for symmetric activations only.
_CALIBRATIONS = ("minmax", "percentile-99.999", "mse")
_SYMMETRIC_CALIBRATIONS = (*_CALIBRATIONS, "entropy")
# What makes up for rounding, tried on whichever ranges were chosen.
CORRECTIONS = ("gptq", "bias")


def usual_calibrations(scheme: Scheme) -> tuple[str, ...]:
    """Give the ways to take ranges that are compared if none is named."""
    return _SYMMETRIC_CALIBRATIONS if scheme.symmetric else _CALIBRATIONS


def find_plan(
    core: ir.Model,
    contract: InputContract,
    images: Images,
    base: Plan,
    calibrations: Sequence[str] = (),
    *,
    classes: bool,
    tell: Progress | None = None,
) -> Chosen:
    """Choose how ranges are taken, and then whether rounding is made up for.

    Args:
        core: A float core, without preprocessing.
        contract: Scale, mean, std and layout of its input.
        images: Of the training split, disjoint.
        base: What all candidates share: scheme, preparations, and what stays in float.
        calibrations: Names in `calibration.METHODS`, the simplest first; the usual ones by default.
        classes: The first output is a row of scores.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        Every candidate, the chosen one, and what came of it.
    """
    calibrations = calibrations or usual_calibrations(base.scheme)
    plans = [replace(base, calibration=name) for name in calibrations]
    return choose(
        core, contract, images, plans, corrections=CORRECTIONS, classes=classes, tell=tell
    )
