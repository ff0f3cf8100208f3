"""What the preprocessing detective found, and what it means, for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.spec import InputContract
from edgecnn.stats import Interval, wilson

# A sample that shows nothing smaller than this cannot tell contracts apart.
_TOO_COARSE = 0.1


@dataclass(frozen=True)
class Trial:
    """Another contract, and how the net did with it.

    Attributes:
        name: What it does otherwise, such as `BGR`.
        flags: The flags that would select it.
        contract: The contract.
        images: Images that it was tried on; fewer where these showed it to be worse.
        correct: Those that were recognised.
        gain: By how much it recognises more of them than the contract that was settled (0.01 is
            one point), with Tango's paired interval at a confidence for all trials together.
        better: The interval lies above zero, on the whole sample.
    """

    name: str
    flags: str
    contract: InputContract
    images: int
    correct: int
    gain: Interval
    better: bool


@dataclass(frozen=True)
class Detection:
    """What the detective found.

    Attributes:
        outcome: `better` if another contract is clearly better, `fits` if none is, `inconclusive`
            if the images are too few or no contract gets beyond guessing.
        images: Images of the sample.
        correct: Those that were recognised with the contract that was settled.
        accuracy: Their share (0 to 1) with Wilson's 95 % interval.
        visible: Least gain (0 to 1) that this sample can show where one answer in ten changes.
        best: The best of those that are clearly better, and the simplest where the images do not
            tell several apart; None if there is none.
        rivals: Names of others that are clearly better and not to be told from the best.
        trials: All that were tried, the best in front.
        sentence: What was found, for people.
    """

    outcome: Literal["better", "fits", "inconclusive"]
    images: int
    correct: int
    accuracy: Interval
    visible: float
    best: Trial | None
    rivals: tuple[str, ...]
    trials: tuple[Trial, ...]
    sentence: str


def conclude(found: Detection, answers: NDArray[np.int64], labels: NDArray[np.int64]) -> Detection:
    """Say what the trials mean, and in which order of the classes more answers would be right.

    Args:
        found: The trials, without a sentence.
        answers: The likeliest class of each image with the contract that was settled; int64 [N].
        labels: The true classes; int64 [N].
    """
    best, guessing = found.best, float(np.bincount(labels).max() / len(labels))
    if found.accuracy.low <= guessing:
        reached = wilson(best.correct, best.images) if best else found.accuracy
        order = _other_order(answers, labels)
        if order.low > max(reached.estimate, 1.5 * guessing) or reached.low <= guessing:
            return _lost(found, order if order.low > 1.5 * guessing else None)
    if best:
        return replace(found, sentence=_verdict_better(found, best))
    if found.visible > _TOO_COARSE:
        sentence = (
            f"{found.images} images are too few to tell input contracts apart: only a gain of "
            f"{_points(found.visible)} would be seen."
        )
        return replace(found, outcome="inconclusive", sentence=sentence)
    return replace(found, sentence=_verdict_fits(found))


def _lost(found: Detection, order: Interval | None) -> Detection:
    """Conclude that no contract gets beyond guessing; what does is another order of the classes."""
    sentence = (
        f"The net gets {_percent(found.accuracy.estimate)} of {found.images} training images "
        "right, no more than guessing would"
    )
    if order:
        sentence += (
            f"; with its classes in another order {_percent(order.estimate)} are right. Give the "
            "order that it was trained on with --labels FILE."
        )
    else:
        sentence += (
            f", and so it is with {len(found.trials)} other input contracts. Check the weights, "
            "the order of the labels and --layout."
        )
    return replace(found, outcome="inconclusive", best=None, rivals=(), sentence=sentence)


def _verdict_better(found: Detection, best: Trial) -> str:
    gain = best.gain
    text = (
        f"Another input contract is clearly better: {best.name}. The net gets "
        f"{_percent(best.correct / best.images)} of {best.images} training images right with it "
        f"instead of {_percent(found.accuracy.estimate)}, a gain of {_points(gain.estimate)} "
        f"(paired {100 * gain.confidence:.1f} % interval: {_points(gain.low)} to "
        f"{_points(gain.high)}). Select it with {best.flags}."
    )
    if found.rivals:
        text += f" These images do not tell it from: {'; '.join(found.rivals)}."
    return text


def _verdict_fits(found: Detection) -> str:
    return (
        f"The net gets {_percent(found.accuracy.estimate)} of {found.images} training images "
        f"right, and with none of {len(found.trials)} other input contracts clearly more. A gain "
        f"of {_points(found.visible)} would have been seen."
    )


def _other_order(answers: NDArray[np.int64], labels: NDArray[np.int64]) -> Interval:
    """Give the share of answers that are right once the classes are put into their best order."""
    from scipy.optimize import linear_sum_assignment

    half, size = len(labels) // 2, int(max(answers.max(), labels.max())) + 1
    counts, known = np.zeros((size, size), np.int64), answers[:half] >= 0
    np.add.at(counts, (answers[:half][known], labels[:half][known]), 1)
    _, order = linear_sum_assignment(counts, maximize=True)
    # Judged on the other half: on its own any net gains from being reordered.
    right = (order[answers[half:]] == labels[half:]) & (answers[half:] >= 0)
    return wilson(int(right.sum()), len(right))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
