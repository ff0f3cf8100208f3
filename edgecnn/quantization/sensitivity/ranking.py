"""Ranks the tensors of a net by what rounding each of them alone does to the answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.progress import Progress
from edgecnn.quantization.distance import Distance, measure_distance
from edgecnn.quantization.making import Subject, make_int8
from edgecnn.quantization.running import run_core
from edgecnn.quantization.sensitivity.report import Effect
from edgecnn.quantization.sensitivity.tensors import Quantized, find_quantized, with_one
from edgecnn.stats import Interval, wilson

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.quantization.plan import Plan

Outputs = dict[str, "NDArray[np.float32]"]

_BLOCKS = 16
_FEWEST_IN_A_BLOCK = 4


@dataclass(frozen=True, eq=False)
class Ranking:
    """What rounding each tensor alone does, and all of them together.

    Attributes:
        effects: The largest error first.
        whole: How far the int8 core's answers lie from those of fp32.
        whole_error: What ranks, of the int8 core.
        reference: What fp32 answers, by the outputs' names.
        int8: The int8 core.
    """

    effects: tuple[Effect, ...]
    whole: Distance
    whole_error: Interval
    reference: Outputs
    int8: ir.Model


def rank_effects(
    subject: Subject,
    plan: Plan,
    images: NDArray[np.uint8],
    *,
    classes: bool,
    tell: Progress | None = None,
) -> Ranking:
    """Round one tensor at a time, with the scales that the plan's int8 has, and compare answers.

    Args:
        subject: What `observe_subject` gave for a plan with the same preparations.
        plan: The scheme and the calibration; corrections of weights are in what is rounded.
        images: Other images than those that calibrated, uint8 [N, height, width, channels], N >= 2.
        classes: The first output is a row of scores.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: ONNX Runtime or its quantizer refuses the model.
    """
    int8 = make_int8(subject, plan)
    tensors = find_quantized(subject.core, int8)
    reference = run_core(subject.core, subject.contract, images)
    effects = []
    for number, each in enumerate(tensors):
        if tell:
            tell(f"Rounding {each.tensor} alone", number / len(tensors))
        found = run_core(with_one(subject.core, each), subject.contract, images)
        effects.append(_effect(each, reference, found, classes=classes))
    whole = run_core(int8, subject.contract, images)
    return Ranking(
        _ranked(effects),
        measure_distance(reference, whole, classes=classes),
        error_of(reference, whole, classes=classes),
        reference,
        int8,
    )


def error_of(
    reference: Mapping[str, NDArray[np.float32]],
    found: Mapping[str, NDArray[np.float32]],
    *,
    classes: bool,
) -> Interval:
    """Give the error that ranks, and how far it is by chance: a 95 % interval.

    The interval is Student's, from how much the error differs between 16 blocks of the images, or
    fewer where there are few.

    Args:
        reference: What fp32 answers, [N, …] each, N >= 2.
        found: What is compared with it.
        classes: The first output is a row of scores.
    """
    import numpy as np
    from scipy.stats import t

    estimate = _error(measure_distance(reference, found, classes=classes))
    count = len(next(iter(reference.values())))
    blocks = np.array_split(np.arange(count), max(2, min(_BLOCKS, count // _FEWEST_IN_A_BLOCK)))
    errors = [
        _error(measure_distance(_rows(reference, rows), _rows(found, rows), classes=classes))
        for rows in blocks
    ]
    if not np.isfinite(errors).all():
        return Interval(estimate, 0.0, math.inf)
    reach = float(t.ppf(0.975, len(errors) - 1) * np.std(errors, ddof=1) / math.sqrt(len(errors)))
    return Interval(estimate, max(0.0, estimate - reach), estimate + reach)


def _error(distance: Distance) -> float:
    """Give the margin error or, where outputs are no classes, noise over signal."""
    if distance.margin_error is not None:
        return distance.margin_error
    return float(10 ** (-distance.sqnr_db / 20))


def _rows(
    outputs: Mapping[str, NDArray[np.float32]], rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    return {name: output[rows] for name, output in outputs.items()}


def _effect(tensor: Quantized, reference: Outputs, found: Outputs, *, classes: bool) -> Effect:
    distance = measure_distance(reference, found, classes=classes)
    flips = None if distance.flips is None else wilson(distance.flips, distance.images)
    return Effect(
        tensor=tensor.tensor,
        kind=tensor.kind,
        layer=tensor.layer,
        distance=distance,
        error=error_of(reference, found, classes=classes),
        flips=flips,
        share=0.0,
        in_float=tensor.touching,
    )


def _ranked(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    total = sum(each.error.estimate**2 for each in effects)
    shared = [
        replace(each, share=each.error.estimate**2 / total if total else 0.0) for each in effects
    ]
    return tuple(sorted(shared, key=lambda each: -each.error.estimate))
