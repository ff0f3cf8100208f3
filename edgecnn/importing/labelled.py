"""The contract of a net together with the data that it will be judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgecnn.bundle_data import by_name
from edgecnn.data import Dataset, load_dataset
from edgecnn.errors import DataError
from edgecnn.importing.contract import ASSUMED, DEFAULTS, Choice, Decision, Facts, decide

_NAMED = 5


@dataclass(frozen=True)
class DataSource:
    """Labelled images as the user named them: what `load_dataset` takes.

    Attributes:
        source: `synthetic`, `cifar10`, a folder of images or a `.npz` file.
        data_dir: Where downloaded data lies.
        test_fraction: Share of images that a single folder of classes gives to the test split.
        skip_broken: Leave broken images out instead of stopping.
    """

    source: str
    data_dir: Path | None = None
    test_fraction: float = 0.2
    skip_broken: bool = False


def decide_with_data(
    user: Choice,
    facts: Sequence[Facts],
    source: DataSource | None,
    *,
    classes: int | None,
    assumed: Choice = DEFAULTS,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[Decision, Dataset | None]:
    """Settle a contract, and load the data in its form.

    Labels that are given or known stay, in their order, if the data has no others: it may have
    fewer. Otherwise the data's class folders name the classes, in the order of their names.

    Args:
        user: What was given.
        facts: As in `decide`.
        source: The data; None for none.
        classes: As in `decide`.
        assumed: As in `decide`.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: As in `decide`.
        DataError: The data cannot be used, or its classes are not the net's.
    """
    decision = decide(user, facts, classes=classes, assumed=assumed)
    if source is None:
        return decision, None
    dataset = load_dataset(
        source.source,
        decision.contract,
        data_dir=source.data_dir,
        test_fraction=source.test_fraction,
        skip_broken=source.skip_broken,
        progress=progress,
    )
    labels = decision.contract.labels
    if classes is None:
        return decision, dataset
    if set(dataset.labels) <= set(labels):
        return decision, by_name(dataset, labels, "the net")
    _refuse_strangers(user, dataset)
    _refuse_other_count(dataset, classes)
    named = Facts(Choice(labels=dataset.labels), f"{ASSUMED}, the data's classes by name")
    facts = [replace(fact, choice=replace(fact.choice, labels=None)) for fact in facts]
    return decide(user, [named, *facts], classes=classes, assumed=assumed), dataset


def _refuse_strangers(user: Choice, dataset: Dataset) -> None:
    strangers = [label for label in dataset.labels if label not in (user.labels or dataset.labels)]
    if strangers:
        raise DataError(
            f"{dataset.source} has classes that are not among the labels that were given: "
            f"{_listed(strangers)}.",
            "Give the labels as the class folders are called, one for each output, in their order.",
        )


def _refuse_other_count(dataset: Dataset, classes: int) -> None:
    if len(dataset.labels) != classes:
        raise DataError(
            f"{dataset.source} has {len(dataset.labels)} classes, but the net has {classes} "
            "outputs.",
            "Name data with classes that the net knows."
            if len(dataset.labels) > classes
            else "Say which output is which class with --labels FILE, one name on each line, in "
            "the order of the outputs.",
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
