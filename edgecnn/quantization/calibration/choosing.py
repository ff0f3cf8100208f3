"""Candidates for an int8 core, compared on images that neither calibrate nor test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgecnn.progress import Progress
from edgecnn.quantization.distance import (
    Distance,
    Outputs,
    has_margins,
    margins,
    measure_distance,
)
from edgecnn.quantization.plan import Plan

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.quantization.making import Subject
    from edgecnn.spec import InputContract


_CONFIDENCE = 0.95
_RESAMPLES = 2000
_FEWEST = 30  # of fewer images a bootstrap's interval is too narrow, and proves what is not so


@dataclass(frozen=True, eq=False)
class Images:
    """What candidates are made from and compared on; uint8 [M, height, width, channels].

    Attributes:
        calibration: What ranges are taken from.
        selection: What the candidates answer.
    """

    calibration: NDArray[np.uint8]
    selection: NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """One way to make a core int8.

    Attributes:
        plan: How it was made.
        distance: How far its answers on the selection images lie from those of fp32.
    """

    plan: Plan
    distance: Distance


@dataclass(frozen=True)
class Choices:
    """Several candidates, and the one that was chosen before any test image was read.

    Attributes:
        candidates: In the order in which they were named, the simplest first.
        chosen: Index of the chosen one.
        calibration_images: How many images ranges were taken from.
        reason: Why it was chosen; a sentence.
    """

    candidates: tuple[Candidate, ...]
    chosen: int
    calibration_images: int
    reason: str

    @property
    def plan(self) -> Plan:
        """The chosen plan."""
        return self.candidates[self.chosen].plan


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen, and what came of it.

    Attributes:
        choices: The candidates, and which was chosen.
        subject: The core that it was made from, prepared and observed.
        model: The quantized core.
    """

    choices: Choices
    subject: Subject
    model: ir.Model

    @property
    def plan(self) -> Plan:
        """The chosen plan."""
        return self.choices.plan


@dataclass(frozen=True, eq=False)
class _Trial:
    candidate: Candidate
    errors: NDArray[np.float64]
    subject: Subject
    model: ir.Model


@dataclass(frozen=True, eq=False)
class _Contest:
    """What all candidates share."""

    core: ir.Model
    contract: InputContract
    images: Images
    classes: bool
    reference: Outputs
    subjects: dict[tuple[str, ...], Subject] = field(default_factory=dict)

    def attempt(self, plan: Plan) -> _Trial:
        """Make the core int8 after a plan, and see what it answers."""
        from edgecnn.quantization.making import make_int8, observe_subject
        from edgecnn.quantization.running import run_core

        subject = self.subjects.get(plan.preparations)
        if subject is None:
            subject = observe_subject(self.core, self.contract, self.images.calibration, plan)
            self.subjects[plan.preparations] = subject
        model = make_int8(subject, plan)
        found = run_core(model, self.contract, self.images.selection)
        distance = measure_distance(self.reference, found, classes=self.classes)
        errors = _image_errors(self.reference, found, self.classes)
        return _Trial(Candidate(plan, distance), errors, subject, model)


def choose(
    core: ir.Model,
    contract: InputContract,
    images: Images,
    plans: Sequence[Plan],
    *,
    corrections: tuple[str, ...] = (),
    classes: bool,
    tell: Progress | None = None,
) -> Chosen:
    """Make a core int8 after each plan, and choose the one nearest to fp32.

    Near is what changes the margins of the classes least; where outputs are no classes, what has
    the highest signal-to-quantization-noise ratio. A later plan is chosen over an earlier one only
    if the selection images prove it better (`nearest`).

    Args:
        core: A float core, without preprocessing.
        contract: Scale, mean, std and layout of its input.
        images: Of the training split, disjoint.
        plans: At least one, the simplest first.
        corrections: What is tried on the nearest of these plans, as a last candidate.
        classes: The first output is a row of scores.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: ONNX Runtime refuses the model or its quantizer does.
        InputError: The temporary folder is full.
    """
    from edgecnn.quantization.running import run_core

    reference = run_core(core, contract, images.selection)
    contest = _Contest(core, contract, images, classes, reference)
    trials = []
    for number, plan in enumerate(plans):
        if tell:
            tell(f"Trying {describe(plan, plans)}", number / (len(plans) + bool(corrections)))
        trials.append(contest.attempt(plan))
    if corrections:
        best = plans[nearest([trial.errors for trial in trials])]
        if tell:
            tell(f"Trying {best.calibration} with {', '.join(corrections)}", 0.7)
        trials.append(contest.attempt(replace(best, corrections=corrections)))
    chosen = nearest([trial.errors for trial in trials])
    made = tuple(trial.candidate for trial in trials)
    choices = Choices(made, chosen, len(images.calibration), _reason(made, chosen))
    return Chosen(choices, trials[chosen].subject, trials[chosen].model)


def describe(plan: Plan, others: Sequence[Plan] = ()) -> str:
    """Name a plan by its calibration, and by whatever else sets it apart from others."""
    parts = {
        "scheme": plan.scheme.name,
        "preparations": ", ".join(plan.preparations),
        "corrections": ", ".join(plan.corrections),
        "in_float": f"{len(plan.in_float)} in float" if plan.in_float else "",
    }
    apart = [
        text
        for name, text in parts.items()
        if text and any(getattr(other, name) != getattr(plan, name) for other in others)
    ]
    return f"{plan.calibration} with {' and '.join(apart)}" if apart else plan.calibration


def far(distance: Distance) -> str:
    """Say how far answers lie from those of fp32, by what candidates are compared by."""
    if distance.margin_error is None:
        return f"{distance.sqnr_db:.1f} dB"
    return f"{100 * distance.margin_error:.2f} %"


def _reason(candidates: Sequence[Candidate], chosen: int) -> str:
    best, first = candidates[chosen], candidates[0]
    plans = [candidate.plan for candidate in candidates]
    own, images = describe(best.plan, plans), f"{best.distance.images:,} selection images"
    if len(candidates) == 1:
        return f"{own} was the only candidate."
    what = "margin error" if best.distance.margin_error is not None else "SQNR"
    if best.distance.images < _FEWEST:
        return f"{images} are too few to tell candidates apart: {own} was taken as the simplest."
    if not chosen:
        return (
            f"No candidate is proven nearer to fp32 than {own} on {images} "
            f"({what} {far(best.distance)})."
        )
    later = "" if best is candidates[-1] else " No later one is proven nearer still."
    return (
        f"{own} is proven nearer to fp32 than {describe(first.plan, plans)} on {images}: {what} "
        f"{far(best.distance)} against {far(first.distance)}.{later}"
    )


def _image_errors(reference: Outputs, found: Outputs, classes: bool) -> NDArray[np.float64]:
    """Give each image's share of what candidates are compared by; float64 [N]."""
    import numpy as np

    scores, other = (next(iter(each.values())) for each in (reference, found))
    if classes and has_margins(scores):
        return np.square(margins(scores, other)[1])
    worst = max(reference, key=lambda name: _noise(reference[name], found[name]).sum())
    return _noise(reference[worst], found[worst])


def _noise(expected: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    import numpy as np

    wide = expected.reshape(len(expected), -1).astype(np.float64)
    signal = float(np.square(wide).sum()) or 1.0
    noise: NDArray[np.float64] = np.square(found.reshape(wide.shape) - wide).sum(axis=1) / signal
    return noise


def nearest(errors: Sequence[NDArray[np.float64]]) -> int:
    """Give the last one that is proven smaller in the mean than the one chosen before it.

    Both are of the same images, so their difference is resampled image by image (paired percentile
    bootstrap: squares are skewed, and a t interval would trust their few large ones too much). The
    confidence is 95 % for all comparisons together (Bonferroni). Fewer than 30 prove nothing.

    Args:
        errors: Squared errors of each candidate, float64 [N] each, of the same images.
    """
    chosen = 0
    for number in range(1, len(errors)):
        if _is_smaller(errors[number], errors[chosen], len(errors) - 1):
            chosen = number
    return chosen


def _is_smaller(one: NDArray[np.float64], other: NDArray[np.float64], comparisons: int) -> bool:
    import numpy as np
    from scipy.stats import bootstrap

    if len(one) < _FEWEST:
        return False
    interval = bootstrap(
        (one - other,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=1 - (1 - _CONFIDENCE) / comparisons,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return bool(interval.high < 0)
