"""The preprocessing detective: would another input contract suit the net better?

Wrong preprocessing breaks no shape and raises no error; it only costs accuracy. So the net is run
on labelled images under the contract that was settled and under those of the usual mistakes, and
its answers are compared image by image.

A contract is called better only where Tango's paired interval of the difference lies above zero, at
a confidence that allows for the number of contracts tried (Bonferroni). Those that a quarter of the
sample already shows to be worse are not tried on the rest, which can hide a better one but never
make one up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.data import Sample, Split
from edgecnn.data import sample as read_sample
from edgecnn.errors import DataError, EdgeCNNError
from edgecnn.importing.contract import difference, flags
from edgecnn.importing.detection import Detection, Trial, conclude
from edgecnn.importing.mistakes import Suspect, distinct, form, suspects
from edgecnn.importing.scorers import Score, likeliest, onnx_scorer, torch_scorer
from edgecnn.progress import Progress, tell_nobody
from edgecnn.spec import InputContract
from edgecnn.stats import Interval, smallest_provable_drop, tango, wilson

__all__ = ["Detection", "Trial", "detect", "onnx_scorer", "torch_scorer"]


# With 20 contracts tried and one answer in ten changed, this many images show a difference of 4
# points; the usual mistakes cost from 5 to 40.
SAMPLE = 512
_SCREENING = SAMPLE // 4
_ROOM = 1 << 30  # bytes, for the images in all forms
_CONFIDENCE = 0.95
_CHANGED = 0.1
_READING = 0.25  # of the progress
# What nets that take any size are mostly trained at.
_SIZES = (28, 32, 48, 64, 96, 128, 160, 192, 224, 256, 299, 320, 384)
_LARGEST_SHARE = 2  # of the pixels of the contract's own size


def detect(
    score: Score,
    contract: InputContract,
    source: str | Path,
    *,
    other_sizes: bool = False,
    count: int = SAMPLE,
    seed: int = 0,
    data_dir: Path | None = None,
    test_fraction: float = 0.2,
    labels_file: Path | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
) -> Detection:
    """Look for an input contract that suits a net clearly better than the one that was settled.

    Args:
        score: Gives the net's scores: from a contract and uint8 [N, height, width, channels] to
            float [N, classes]. See `torch_scorer` and `onnx_scorer`.
        contract: The contract that was settled; its labels, where it has any, are the classes of
            the scores.
        source: Labelled images, as in `edgecnn.data.load_dataset`.
        other_sizes: Try other sizes of the input, too, as far as the net takes them.
        count: Images of the training split to look at; fewer where they are so large that all
            forms of them take more than 1 GiB.
        seed: As in `load_dataset`, and so are the others.
        data_dir: Folder for downloaded data.
        test_fraction: Share that a single folder of classes gives to the test split.
        labels_file: A file with the class names in order.
        skip_broken: Leave broken images out.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        DataError: The data cannot be used, or has classes that the net does not know.
        ModelError: The scores are no row of numbers for each image.
    """
    tell = progress or tell_nobody
    tried = suspects(contract, _sizes_taken(score, contract) if other_sizes else ())
    forms = list(dict.fromkeys(form(each) for each in (contract, *(s.contract for s in tried))))
    found = read_sample(
        source,
        forms,
        min(count, max(_SCREENING, _ROOM // sum(math.prod(each.pixel_shape) for each in forms))),
        seed=seed,
        data_dir=data_dir,
        test_fraction=test_fraction,
        labels_file=labels_file,
        skip_broken=skip_broken,
        progress=lambda what, share: tell(what, _READING * share),
    )
    splits = dict(zip(forms, _by_name(found, contract, str(source)), strict=True))
    classes = max(len(contract.labels), len(found.labels))
    return _investigate(_Bench(score, splits, classes), contract, tried, tell)


def _sizes_taken(score: Score, contract: InputContract) -> list[int]:
    """Give the usual sizes that the net takes; much larger ones would take too long to try."""
    own = contract.height * contract.width
    return [
        size
        for size in _SIZES
        if size * size <= _LARGEST_SHARE * own and _takes(score, contract, size)
    ]


def _takes(score: Score, contract: InputContract, size: int) -> bool:
    resized = replace(contract, height=size, width=size, resize="stretch")
    blank = np.zeros((1, *resized.pixel_shape), np.uint8)
    try:
        return len(score(resized, blank)) == 1
    except (EdgeCNNError, RuntimeError, ValueError, AssertionError):
        return False  # most nets with a fixed size say so in one of these ways


@dataclass(frozen=True, eq=False)
class _Bench:
    """The net, and the same pictures in all forms, with their classes."""

    score: Score
    splits: dict[InputContract, Split]
    classes: int

    def answers(
        self, contract: InputContract, start: int = 0, stop: int | None = None
    ) -> NDArray[np.int64]:
        images = self.splits[form(contract)].images[start:stop]
        if contract.color == "bgr":
            images = np.ascontiguousarray(images[..., ::-1])
        return likeliest(self.score(contract, images), self.classes)

    def seen_as(self, contract: InputContract) -> InputContract:
        """Give the contract with the first sizing that makes the same of these pictures."""
        digest = self.splits[form(contract)].sha256
        same = next(shape for shape, split in self.splits.items() if split.sha256 == digest)
        return replace(contract, resize=same.resize, filter=same.filter)


def _investigate(
    bench: _Bench, contract: InputContract, tried: Sequence[Suspect], tell: Progress
) -> Detection:
    labels = bench.splits[form(contract)].labels
    tried = distinct(contract, tried, bench.seen_as)
    tell("Trying the contract", _READING)
    answers = bench.answers(contract)
    own = answers == labels
    confidence = 1 - (1 - _CONFIDENCE) / max(1, len(tried))
    right: dict[str, NDArray[np.bool_]] = {}
    for index, suspect in enumerate(tried):
        tell(f"Trying {suspect.name}", _READING + (1 - _READING) * (index + 1) / (len(tried) + 1))
        right[suspect.name] = _tried(bench, suspect.contract, labels, own)
    trials = [_trial(each, contract, right[each.name], own, confidence) for each in tried]
    trials.sort(key=lambda trial: -trial.gain.estimate)
    better = [trial for trial in trials if trial.better]
    alike = [
        trial
        for trial in better
        if _gain(right[better[0].name], right[trial.name], confidence).low <= 0
    ]
    # Of contracts that these images do not tell apart, the simplest is the likeliest.
    alike.sort(key=lambda trial: (trial.flags.count("--"), -trial.gain.estimate))
    draft = Detection(
        outcome="better" if better else "fits",
        images=len(own),
        correct=int(own.sum()),
        accuracy=wilson(int(own.sum()), len(own)),
        visible=smallest_provable_drop(len(own), _CHANGED, confidence),
        best=alike[0] if alike else None,
        rivals=tuple(trial.name for trial in alike[1:]),
        trials=tuple(trials),
        sentence="",
    )
    return conclude(draft, answers, labels)


def _tried(
    bench: _Bench, contract: InputContract, labels: NDArray[np.int64], own: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Say which images are recognised; only the first of them where that is clearly worse."""
    first: NDArray[np.bool_] = bench.answers(contract, 0, _SCREENING) == labels[:_SCREENING]
    if len(first) == len(own) or _gain(first, own[:_SCREENING], _CONFIDENCE).high < 0:
        return first
    rest: NDArray[np.bool_] = bench.answers(contract, _SCREENING) == labels[_SCREENING:]
    return np.concatenate([first, rest])


def _trial(
    suspect: Suspect,
    contract: InputContract,
    right: NDArray[np.bool_],
    own: NDArray[np.bool_],
    confidence: float,
) -> Trial:
    gain = _gain(right, own[: len(right)], confidence)
    return Trial(
        name=suspect.name,
        flags=flags(difference(contract, suspect.contract)),
        contract=suspect.contract,
        images=len(right),
        correct=int(right.sum()),
        gain=gain,
        better=len(right) == len(own) and gain.low > 0,
    )


def _gain(first: NDArray[np.bool_], second: NDArray[np.bool_], confidence: float) -> Interval:
    return tango(int((first & ~second).sum()), int((second & ~first).sum()), len(first), confidence)


def _by_name(found: Sample, contract: InputContract, source: str) -> tuple[Split, ...]:
    names = contract.labels or found.labels
    unknown = [label for label in found.labels if label not in names]
    if unknown:
        raise DataError(
            f"{source} has the class '{unknown[0]}', which the net's labels do not name.",
            "Name data with classes that the net knows, or give its own labels with --labels FILE.",
        )
    places = np.array([names.index(label) for label in found.labels], np.int64)
    return tuple(Split(split.images, places[split.labels]) for split in found.splits)
