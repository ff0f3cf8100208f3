"""Which images are worth a look: sure mistakes, and what two variants do not think alike of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from edgecnn.data import Split
from edgecnn.evaluation.report import (
    ConfidenceBin,
    Disagreement,
    Disagreements,
    Mistake,
    Mistakes,
    Picture,
)
from edgecnn.images import thumbnail
from edgecnn.spec import Color

MOST_IMAGES = 24
MOST_BYTES = 300_000
_SIDE = 64
_BINS = 10
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Said:
    """What a variant said of every image.

    Attributes:
        name: The variant.
        probabilities: float32 [N, classes].
        answers: The likeliest classes, int64 [N].
    """

    name: str
    probabilities: NDArray[np.float32]
    answers: NDArray[np.int64]

    def of(self, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give the probability of one class for each image, float32 [N]."""
        return np.take_along_axis(self.probabilities, classes[:, None], axis=1)[:, 0]


def mistakes(said: Said, labels: NDArray[np.int64]) -> Mistakes:
    """Find the images of which a variant was surest, and wrong.

    Args:
        said: What it said.
        labels: The true classes, int64 [N].
    """
    wrong = np.flatnonzero(said.answers != labels)
    own, true = said.of(said.answers), said.of(labels)
    worst = wrong[np.argsort(-(own - true)[wrong], kind="stable")][:MOST_IMAGES]
    return Mistakes(
        said.name,
        len(wrong),
        tuple(
            Mistake(i, int(said.answers[i]), float(own[i]), float(true[i])) for i in worst.tolist()
        ),
    )


def disagreements(first: Said, second: Said) -> Disagreements:
    """Find the images of which two variants think most differently."""
    changed, distance = first.answers != second.answers, _distance(first, second)
    order = np.lexsort((-distance, ~changed))[:MOST_IMAGES]
    own, other = first.of(first.answers), second.of(second.answers)
    return Disagreements(
        first.name,
        second.name,
        int(changed.sum()),
        tuple(
            Disagreement(
                index=i,
                first_answer=int(first.answers[i]),
                second_answer=int(second.answers[i]),
                first_probability=float(own[i]),
                second_probability=float(other[i]),
                distance=float(distance[i]),
            )
            for i in order.tolist()
            if distance[i] > 0
        ),
    )


def confidence_bins(said: Said, labels: NDArray[np.int64]) -> tuple[ConfidenceBin, ...]:
    """Count, by the probability of the answers, how many there are and how many are right."""
    sure, right = said.of(said.answers), said.answers == labels
    places = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    return tuple(
        _bin(place, sure[places == place], right[places == place]) for place in range(_BINS)
    )


def pictures(
    split: Split, color: Color, found: Sequence[Mistakes | Disagreements]
) -> tuple[Picture, ...]:
    """Keep every image that is named, and as many pictures as a report may hold.

    Each list gets its worst in turn, so that none takes all the room.

    Args:
        split: The images that the indices point into.
        color: What the channels are.
        found: Lists of images.
    """
    kept: dict[int, Picture] = {}
    room = MOST_BYTES
    for index in _in_turn([[one.index for one in each.worst] for each in found]):
        if index in kept:
            continue
        pixels = split.images[index]
        png = base64.b64encode(thumbnail(pixels, color, _SIDE)).decode()
        room -= len(png)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        label = int(split.labels[index])
        kept[index] = Picture(index, digest, label, png if room >= 0 else "")
    return tuple(kept[index] for index in sorted(kept))


def _in_turn(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    return (index for index in chain(*zip_longest(*lists)) if index is not None)


def _bin(place: int, sure: NDArray[np.float32], right: NDArray[np.bool_]) -> ConfidenceBin:
    mean = float(sure.mean(dtype=np.float64)) if len(sure) else 0.0
    return ConfidenceBin(place / _BINS, (place + 1) / _BINS, len(sure), int(right.sum()), mean)


def _distance(first: Said, second: Said) -> NDArray[np.float32]:
    # In parts: the difference of 50,000 images in 1,000 classes takes 200 MB.
    return np.concatenate(
        [
            np.abs(
                first.probabilities[start : start + _ROWS_AT_ONCE]
                - second.probabilities[start : start + _ROWS_AT_ONCE]
            ).sum(axis=1)
            / 2
            for start in range(0, len(first.answers), _ROWS_AT_ONCE)
        ]
    )
