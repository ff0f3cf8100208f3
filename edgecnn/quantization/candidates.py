"""Which plan a net is quantized after, found on the selection images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.quantization.calibration.choosing import Choices, Images, choose
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.schemes import Scheme

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.spec import InputContract

Progress = Callable[[str, float], None]

# Ways to take ranges that are compared if none is named, the simplest first. On the nets seen so far
# entropy was the best for symmetric activations only.
_CALIBRATIONS = ("minmax", "percentile-99.999", "mse")
_SYMMETRIC_CALIBRATIONS = (*_CALIBRATIONS, "entropy")
# What makes up for rounding, tried on whichever ranges were chosen.
CORRECTIONS = ("gptq", "bias")


def usual_calibrations(scheme: Scheme) -> tuple[str, ...]:
    """Give the ways to take ranges that are compared if none is named."""
    return _SYMMETRIC_CALIBRATIONS if scheme.activations == "int8" else _CALIBRATIONS


def find_plan(
    core: ir.Model,
    contract: InputContract,
    images: Images,
    base: Plan,
    calibrations: Sequence[str],
    *,
    classes: bool,
    tell: Progress | None = None,
) -> Choices:
    """Choose how ranges are taken, and then whether rounding is made up for.

    Args:
        core: A float core, without preprocessing.
        contract: Scale, mean, std and layout of its input.
        images: Of the training split, disjoint.
        base: What all candidates share: scheme, preparations, and what stays in float.
        calibrations: Names in `calibration.METHODS`, the simplest first.
        classes: The first output is a row of scores.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Returns:
        Every candidate, and the chosen one.
    """
    plans = [replace(base, calibration=name) for name in calibrations]
    ranges = choose(core, contract, images, plans, classes=classes, tell=_half(tell, 0))
    better = [ranges.plan, replace(ranges.plan, corrections=CORRECTIONS)]
    corrected = choose(core, contract, images, better, classes=classes, tell=_half(tell, 0.5))
    chosen = len(ranges.candidates) if corrected.chosen else ranges.chosen
    reason = ranges.reason if len(calibrations) > 1 else ""
    return Choices(
        ranges.candidates + corrected.candidates[1:],
        chosen,
        ranges.calibration_images,
        f"{reason} {corrected.reason}".strip(),
    )


def _half(tell: Progress | None, start: float) -> Progress | None:
    if tell is None:
        return None
    return lambda what, share: tell(what, start + share / 2)
