"""When a mix of int8 and float is good enough, judged on images of the training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.evaluation import compare_answers
from edgecnn.quantization.distance import measure_distance
from edgecnn.quantization.gate import points
from edgecnn.quantization.verdict import LEAST_SQNR_DB
from edgecnn.stats import Interval, smallest_provable_drop, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Outputs = Mapping[str, "NDArray[np.float32]"]


@dataclass(frozen=True)
class Judged:
    """What was found of one mix.

    Attributes:
        passes: It is good enough.
        drop: How far its accuracy lies below that of fp32, with Tango's 95 % interval; None
            without labels.
        accuracy: Share of the images that it recognises; None without labels.
    """

    passes: bool
    drop: Interval | None = None
    accuracy: float | None = None


@dataclass(frozen=True, eq=False)
class Goal:
    """When a mix is good enough.

    With labels: the worse end of the loss is within `max_drop` or, where that is not named or so
    many images cannot prove it, the loss is not significant. Without labels, flips take the place
    of the loss. Else the signal-to-noise ratio decides.

    Attributes:
        reference: What fp32 answers to the selection images, [N, …] each.
        labels: Their classes, int64 [N]; None where they are not known.
        classes: The first output is a row of scores.
        max_drop: Largest loss allowed; 0.005 is half a point. None if not named.
    """

    reference: Outputs
    labels: NDArray[np.int64] | None
    classes: bool
    max_drop: float | None

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(next(iter(self.reference.values())))

    @property
    def criterion(self) -> str:
        """Say when a mix is good enough, as the end of a sentence."""
        if not self.classes or (self.labels is None and self.max_drop is None):
            return f"the signal-to-quantization-noise ratio is at least {LEAST_SQNR_DB:.0f} dB"
        if self._limit is not None:
            what = "a loss" if self.labels is not None else "flips"
            return f"{what} of more than {points(self._limit)} points can be ruled out"
        worse = "the loss is not significant" if self.labels is not None else "no answer changes"
        if self.max_drop is None:
            return worse
        return f"{worse}, as so few images cannot rule out {points(self.max_drop)} points"

    def judge(self, found: Outputs) -> Judged:
        """Judge what a mix answers to the selection images."""
        distance = measure_distance(self.reference, found, classes=self.classes)
        if not self.classes or (self.labels is None and self.max_drop is None):
            return Judged(distance.sqnr_db >= LEAST_SQNR_DB)
        if self.labels is None:
            flips = wilson(distance.flips or 0, distance.images)
            return Judged(flips.low <= 0 if self._limit is None else flips.high <= self._limit)
        first, second = (
            next(iter(each.values())).argmax(axis=1) for each in (self.reference, found)
        )
        drop = compare_answers("fp32", "int8", first, second, self.labels).drop
        passes = drop.low <= 0 if self._limit is None else drop.high <= self._limit
        return Judged(passes, drop, float((second == self.labels).mean()))

    @property
    def _limit(self) -> float | None:
        if self.max_drop is None or self.max_drop < self._provable:
            return None
        return self.max_drop

    @property
    def _provable(self) -> float:
        if self.labels is None:
            return wilson(0, self.images).high
        return smallest_provable_drop(self.images, 0)
