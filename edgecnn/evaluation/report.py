"""What an evaluation found: accuracy, comparisons, and the images that are worth a look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from edgecnn.gating import GateResult
from edgecnn.options import FP32, engine_name
from edgecnn.stats import Interval
from edgecnn.worker import EngineFailure

SplitName = Literal["train", "test"]


@dataclass(frozen=True)
class ClassAccuracy:
    """How often the images of one class were recognised.

    Attributes:
        label: The class's name.
        images: Images of the class.
        correct: Those that were recognised.
        accuracy: Their share (0 to 1) with Wilson's 95 % interval; None without images.
    """

    label: str
    images: int
    correct: int
    accuracy: Interval | None


@dataclass(frozen=True)
class ConfidenceBin:
    """Answers of about the same probability, and how many of them were right.

    Attributes:
        low: From this probability of the answer on, 0 to 1.
        high: Up to below this one; the last bin holds it too.
        images: Images whose answer has such a probability.
        correct: Those of them that were recognised.
        confidence: Mean probability of the answer; 0 without images.
    """

    low: float
    high: float
    images: int
    correct: int
    confidence: float


@dataclass(frozen=True)
class VariantAccuracy:
    """How often one variant was right.

    Attributes:
        name: The variant.
        runtime: The runtime that ran it.
        provider: Where it computed, as the runtime reports it.
        images: How many images there were.
        correct: How many were recognised.
        accuracy: Their share (0 to 1) with Wilson's 95 % interval.
        classes: The same for each class, in the order of the labels.
        confusion: Images by true class (row) and answered class (column).
        confidence: How often answers are right, by how sure they are.
        precision: What float32 operators computed in, as the runtime reports it.
        options: The runtime's own options that were given.
    """

    name: str
    runtime: str
    provider: str
    images: int
    correct: int
    accuracy: Interval
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]
    confidence: tuple[ConfidenceBin, ...] = ()
    # A report before version 3 has none of these.
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """Runtime, provider and how it computed, for people."""
        return engine_name(self.runtime, self.provider, self.precision, self.options)


@dataclass(frozen=True)
class PairedAccuracy:
    """Two variants on the same images.

    Attributes:
        first: The one that is compared with.
        second: The one that is compared.
        only_first: Images that the first alone got right.
        only_second: Images that the second alone got right.
        same: Share (0 to 1) of images with the same answer, right or wrong.
        drop: How far the second's accuracy lies below the first's (0.01 is one point), with
            Tango's 95 % paired score interval.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    same: float
    drop: Interval


@dataclass(frozen=True)
class Mistake:
    """An image that was not recognised.

    Attributes:
        index: The image's place in the split, counted from 0.
        answer: The class that it was taken for.
        probability: Of that answer, 0 to 1.
        label_probability: Of the true class.
    """

    index: int
    answer: int
    probability: float
    label_probability: float


@dataclass(frozen=True)
class Mistakes:
    """Where a variant was surest of a wrong answer.

    Attributes:
        variant: Its name.
        count: How many images it got wrong in all.
        worst: Some of them, first those whose answer is furthest ahead of the true class.
    """

    variant: str
    count: int
    worst: tuple[Mistake, ...]


@dataclass(frozen=True)
class Disagreement:
    """An image of which two variants do not think alike.

    Attributes:
        index: The image's place in the split, counted from 0.
        first_answer: The first variant's class.
        second_answer: The second's.
        first_probability: Of the first's answer, as the first gives it, 0 to 1.
        second_probability: Of the second's answer, as the second gives it.
        distance: Half the sum over all classes of how far the two probabilities lie apart: 0 where
            they are the same, 1 where all that the one thinks likely the other rules out.
    """

    index: int
    first_answer: int
    second_answer: int
    first_probability: float
    second_probability: float
    distance: float


@dataclass(frozen=True)
class Disagreements:
    """Where two variants differ most.

    Attributes:
        first: The one that is compared with.
        second: The one that is compared.
        count: Images with different answers.
        worst: Some images: first those with different answers, then the others; the largest
            distance first.
    """

    first: str
    second: str
    count: int
    worst: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Picture:
    """An image that is among the mistakes or disagreements.

    Attributes:
        index: Its place in the split, counted from 0.
        sha256: Digest of its pixels at the model's input size.
        label: Its true class.
        png: A PNG file in base64, at most 64 pixels wide and high; empty where all pictures
            together would be too large for a report.
    """

    index: int
    sha256: str
    label: int
    png: str


@dataclass(frozen=True)
class Baseline:
    """Another bundle that answered the same images.

    Attributes:
        bundle: Its folder, as it was named.
        variants: Accuracy of its variants that the measured bundle has too.
        comparisons: Each with the measured bundle's variant of the same name, which is the second.
        measured: SHA-256 of every file that was measured, by name.
    """

    bundle: str
    variants: tuple[VariantAccuracy, ...]
    comparisons: tuple[PairedAccuracy, ...]
    measured: dict[str, str]


@dataclass(frozen=True)
class EvalReport:
    """Accuracy of some variants of a bundle.

    Attributes:
        data: Short name of the data.
        source: Where it came from.
        split: `test` or `train`.
        split_sha256: Digest of the images and labels.
        images: How many images there were.
        labels: Names of the classes.
        variants: Each variant's accuracy, in the order asked for.
        comparisons: Each later variant against the first that answered.
        measured: SHA-256 of every file that was measured, by name.
        notes: What should be known of the data: images left out, images in both splits, …
        mistakes: Each variant's worst, in the same order.
        disagreements: Each later variant's with the first.
        pictures: Every image that mistakes or disagreements name, by its index.
        baseline: Another bundle that answered the same images; None if none was named.
        gates: What became of each gate.
        failures: Variants that did not answer, because their engine crashed or hung.
    """

    KIND: ClassVar[str] = "eval"
    VERSION: ClassVar[int] = 3

    data: str
    source: str
    split: SplitName
    split_sha256: str
    images: int
    labels: tuple[str, ...]
    variants: tuple[VariantAccuracy, ...]
    comparisons: tuple[PairedAccuracy, ...]
    measured: dict[str, str]
    notes: tuple[str, ...]
    # A report of version 1 has none of these.
    mistakes: tuple[Mistakes, ...] = ()
    disagreements: tuple[Disagreements, ...] = ()
    pictures: tuple[Picture, ...] = ()
    baseline: Baseline | None = None
    gates: tuple[GateResult, ...] = ()
    # A report before version 3 has none of these.
    failures: tuple[EngineFailure, ...] = ()
