"""What quantization-aware training did."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.recipe import TrainingPlan
from edgecnn.training.report import Epoch


@dataclass(frozen=True)
class QatReport:
    """How a quantized net was fine-tuned; no test image was read for it.

    Attributes:
        variant: The fp32 variant that it began with.
        plan: How it was trained; `flip` and `shift` are those of the training before, if known.
        training_images: Training pictures, the holdout not among them.
        holdout_images: Training pictures kept back.
        holdout_fp32: Share of the holdout that the fp32 net answers rightly.
        holdout_before: The same of the quantized net, before its first step.
        curve: The epochs; their holdout accuracy is that of the file as it would be written then.
        chosen: Number of the epoch that was kept, from 1: the best on the holdout, of equals the
            last.
        weights: Tensors of weights that were rounded while they learned.
        scales: Scales that learned with them, those of channels counted one by one.
        cpu_seconds: CPU time (user and system) of this process in the epochs.
    """

    variant: str
    plan: TrainingPlan
    training_images: int
    holdout_images: int
    holdout_fp32: float
    holdout_before: float
    curve: tuple[Epoch, ...]
    chosen: int
    weights: int
    scales: int
    cpu_seconds: float
