"""What training reports: while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from edgecnn.bundle import ModelRef
from edgecnn.recipe import TrainingPlan
from edgecnn.spec import DataRef, Verdict
from edgecnn.stats import Interval


@dataclass(frozen=True)
class Note:
    """Something that people should read once, as a sentence."""

    text: str


@dataclass(frozen=True)
class Reading:
    """How far the reading of the data is.

    Attributes:
        what: What is being done, such as `Reading images`.
        share: The share (0 to 1) that is behind.
    """

    what: str
    share: float


@dataclass(frozen=True)
class Step:
    """How far an epoch is.

    Attributes:
        epoch: Number of the epoch, from 1.
        epochs: Epochs in all.
        step: Batches seen in this epoch.
        steps: Batches in an epoch.
        loss: Mean loss of the batches since the last report.
        accuracy: Share of right answers among this epoch's training pictures so far.
        images_per_second: Training pictures a second, in this epoch.
        seconds_left: Time left to the end of the last epoch, at this speed.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class MeanLoss:
    """The mean loss of the plan's `report_every` batches that end at this one."""

    epoch: int
    step: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curve.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean training loss.
        train_accuracy: Share of right answers on the training pictures, while they were learned.
        holdout_accuracy: Share of right answers on the holdout afterwards; None without a holdout.
        learning_rate: That of the last step.
        seconds: Wall time, the holdout included.
        images_per_second: Training pictures a second, the holdout not included.
    """

    epoch: int
    loss: float
    train_accuracy: float
    holdout_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float


Event: TypeAlias = Note | Reading | Step | MeanLoss | Epoch
Tell: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class ClassAccuracy:
    """How many test pictures of one class are answered rightly."""

    label: str
    images: int
    correct: int


@dataclass(frozen=True)
class TrainReport:
    """What was trained, how it went, and what came out.

    Attributes:
        bundle: The bundle's folder.
        recipe: Name of the recipe, or `generic`.
        model: Where the net comes from.
        parameters: Weights that training changes.
        data: What it learned from and was tested on.
        plan: How it was trained.
        device: Where, such as `cpu`.
        training_images: Training pictures, the holdout not among them.
        holdout_images: Training pictures kept back for the learning curve.
        curve: The learning curve.
        accuracy: Top-1 accuracy on the test split, with its 95 % interval (Wilson).
        classes: The same class by class.
        required_accuracy: What the recipe requires on this data; None if nothing.
        verdict: Whether that was reached; None if nothing is required.
        training_cpu_seconds: CPU time (user and system) of this process in the epochs.
        cpu_seconds: The same from the call to the bundle, with data and test; of the last run
            only, if it was resumed.
        resumed_after: Epochs that an interrupted run had done before.
    """

    KIND: ClassVar[str] = "train"

    bundle: str
    recipe: str
    model: ModelRef
    parameters: int
    data: DataRef
    plan: TrainingPlan
    device: str
    training_images: int
    holdout_images: int
    curve: tuple[Epoch, ...]
    accuracy: Interval
    classes: tuple[ClassAccuracy, ...]
    required_accuracy: float | None
    verdict: Verdict | None
    training_cpu_seconds: float
    cpu_seconds: float
    resumed_after: int = 0

    @property
    def folder(self) -> Path:
        """The bundle's folder as a path."""
        return Path(self.bundle)
