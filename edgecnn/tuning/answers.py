"""Whether a way to run a bundle answers right: nothing that does not may win.

It is held against the golden vectors, within the tolerances of its variant, as `edgecnn parity`
does. With a loss of accuracy that is allowed, variants and precisions that change answers are held
against that instead: on training images while candidates are picked, and on the test images, which
picked nothing, before one may win.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.agreement import parity
from edgecnn.bundle import Bundle
from edgecnn.errors import DataError, EdgeCNNError
from edgecnn.evaluation.measuring import compare_answers
from edgecnn.options import FP32
from edgecnn.predictor import load
from edgecnn.tuning.report import AnswerCheck, Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.data import Dataset, Split

_SELECTION_IMAGES = 1024
_SEED = 0


@dataclass
class Answers:
    """Checks candidates; each is asked once.

    Attributes:
        bundle: The bundle.
        default: What a loss of accuracy is counted from.
        batch_size: Images in one run.
        max_drop: Largest loss of accuracy allowed, a share of 1; None where answers must agree
            with the golden vectors.
        data: Labelled images; None where no loss is allowed.
        checks: What was found, in order.
    """

    bundle: Bundle
    default: Candidate
    batch_size: int
    max_drop: float | None = None
    data: Dataset | None = None
    checks: list[AnswerCheck] = field(default_factory=list)
    _said: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)

    def pick(self, candidate: Candidate) -> AnswerCheck:
        """Say whether a candidate may race."""
        if self._may_lose(candidate):
            return self._keep(self._accuracy(candidate, final=False))
        return self._keep(self._parity(candidate))

    def confirm(self, candidate: Candidate) -> AnswerCheck:
        """Say whether a candidate may win, as it would run, with all its options."""
        if self._may_lose(candidate):
            return self._keep(self._accuracy(candidate, final=True))
        known = [one for one in self.checks if one.name == candidate.name]
        return known[0] if known else self._keep(self._parity(candidate))

    def _keep(self, check: AnswerCheck) -> AnswerCheck:
        self.checks.append(check)
        return check

    def _may_lose(self, candidate: Candidate) -> bool:
        changed = self.bundle.variant(candidate.variant).precision != "fp32"
        return self.max_drop is not None and (changed or candidate.precision != FP32)

    def _parity(self, candidate: Candidate) -> AnswerCheck:
        found = parity(
            self.bundle,
            [candidate.variant],
            runtime=candidate.runtime,
            provider=candidate.provider,
            threads=candidate.threads,
            options=candidate.given or None,
            batch_size=self.batch_size,
        )
        verdict = found.verdict
        right = None if verdict.outcome == "inconclusive" else verdict.outcome == "pass"
        return AnswerCheck(candidate.name, found.inputs, right, verdict.reasons)

    def _accuracy(self, candidate: Candidate, *, final: bool) -> AnswerCheck:
        from edgecnn.quantization.gate import judge_drop

        assert self.data is not None
        assert self.max_drop is not None
        split, what = (self.data.test, "test") if final else (selection(self.data), "training")
        ours = self._answers(self.default, split, what)
        theirs = self._answers(candidate, split, what)
        names = self.default.name, candidate.name
        paired = compare_answers(*names, ours, theirs, split.labels)
        verdict = judge_drop(paired, self.max_drop, len(split))
        right = None if verdict.outcome == "inconclusive" else verdict.outcome == "pass"
        against = f"{self.default.name} on {len(split):,} {what} images"
        return AnswerCheck(candidate.name, against, right, verdict.reasons, paired.drop)

    def _answers(self, candidate: Candidate, split: Split, what: str) -> NDArray[np.int64]:
        key = candidate.name, what
        if key not in self._said:
            with load(
                self.bundle,
                variant=candidate.variant,
                runtime=candidate.runtime,
                provider=candidate.provider,
                threads=candidate.threads,
                options=candidate.given or None,
                batch_size=self.batch_size,
            ) as predictor:
                answers = predictor.run(split.images).argmax(axis=1)
            self._said[key] = answers.astype(np.int64)
        return self._said[key]


def selection(data: Dataset) -> Split:
    """Give the images that pick candidates: up to 1,024 of the training split, drawn by a seed.

    Raises:
        DataError: There are none.
    """
    count = len(data.train)
    if not count or not len(data.test):
        raise DataError(
            f"{data.source} needs images to train and to test: the first pick candidates, the "
            "others say what the winner loses.",
            "Name other data with --data.",
        )
    if count <= _SELECTION_IMAGES:
        return data.train
    picked = np.random.default_rng(_SEED).choice(count, _SELECTION_IMAGES, replace=False)
    return data.train.take(np.sort(picked))


def failed(candidate: Candidate, error: EdgeCNNError) -> AnswerCheck:
    """Give the check of a candidate that has no answers."""
    return AnswerCheck(candidate.name, "", False, (error.problem,))
