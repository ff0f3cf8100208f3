"""How far a quantized net's answers lie from fp32's on the same images, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.agreement import sqnr_db
from edgecnn.records import MaybeInfinite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Outputs = Mapping[str, "NDArray[np.float32]"]


@dataclass(frozen=True)
class Distance:
    """How far answers lie from those of fp32; labels are not needed.

    Attributes:
        images: How many were answered.
        sqnr_db: Signal-to-quantization-noise ratio of the worst output in dB; infinite if equal.
        flips: Images with another likeliest class; None where outputs are no classes.
        margin_error: Root mean square change of the margin by which fp32's class led the next one,
            over the root mean square of that margin; None likewise. It tells candidates apart
            where flips are too rare.
    """

    images: int
    sqnr_db: MaybeInfinite
    flips: int | None
    margin_error: float | None


def measure_distance(reference: Outputs, found: Outputs, *, classes: bool) -> Distance:
    """Compare the outputs of two nets for the same images.

    Args:
        reference: What fp32 answers, by the outputs' names; [N, …] each.
        found: What the quantized net answers.
        classes: The first output is a row of scores.
    """
    sqnr = min(sqnr_db(found[name], reference[name]) for name in reference)
    scores, other = (next(iter(each.values())) for each in (reference, found))
    if not (classes and has_margins(scores)):
        return Distance(len(scores), sqnr, None, None)
    flips = int((scores.argmax(axis=1) != other.argmax(axis=1)).sum())
    return Distance(len(scores), sqnr, flips, _margin_error(scores, other))


def has_margins(scores: NDArray[np.float32]) -> bool:
    """Say whether an output is a row of scores, of which one can lead another."""
    return scores.ndim == 2 and scores.shape[1] > 1


def margins(
    scores: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give by how much fp32's class leads its next one, and how another net changes that.

    Args:
        scores: What fp32 answers, [N, classes].
        other: What the other net answers.

    Returns:
        The margins and their changes, float64 [N] each, in the unit of the scores.
    """
    import numpy as np

    order = np.argsort(scores, axis=1)
    rows, first, second = np.arange(len(scores)), order[:, -1], order[:, -2]
    margin = scores[rows, first].astype(np.float64) - scores[rows, second]
    change = other[rows, first].astype(np.float64) - other[rows, second] - margin
    return margin, change


def _margin_error(scores: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    import numpy as np

    margin, change = margins(scores, other)
    size = float(np.sqrt(np.square(margin).mean()))
    return float(np.sqrt(np.square(change).mean())) / size if size else 0.0
