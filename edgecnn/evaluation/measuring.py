"""Variants answer images: how often they are right, and how they compare with the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.data import Split
from edgecnn.errors import ModelError
from edgecnn.evaluation.report import (
    ClassAccuracy,
    Disagreements,
    Mistakes,
    PairedAccuracy,
    VariantAccuracy,
)
from edgecnn.evaluation.worst import Said, confidence_bins, disagreements, mistakes
from edgecnn.predictor import Predictor, softmax
from edgecnn.progress import Progress
from edgecnn.stats import tango, wilson

Noting = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Row:
    """What was found of one variant.

    Attributes:
        accuracy: How often it was right.
        mistakes: Where it was surest, and wrong.
        against_first: How it compares with the first variant; None for that one.
        answers: The likeliest classes, int64 [N].
    """

    accuracy: VariantAccuracy
    mistakes: Mistakes
    against_first: tuple[PairedAccuracy, Disagreements] | None
    answers: NDArray[np.int64]


def measure(
    ready: Callable[..., Predictor],
    names: Sequence[str],
    images: Split,
    labels: tuple[str, ...],
    progress: Progress | None,
    noting: Noting,
) -> Iterator[Row]:
    """Let variants answer images; each later one is compared with the first.

    One whose engine crashes has no row.

    Args:
        ready: Gives the predictor of a `variant`.
        names: The variants.
        images: What they answer.
        labels: Names of the classes.
        progress: Called with a variant's name and the share (0 to 1) of its images behind.
        noting: Keeps, with a variant's name, what crashes inside.

    Raises:
        ModelError: An answer is no finite score for each class.
    """
    # Two variants' probabilities at a time: those of 50,000 images in 1,000 classes take 200 MB.
    first = None
    for name in names:
        said = None
        with noting(name), ready(variant=name) as predictor:
            said = _said(predictor, images, len(labels), progress)
            accuracy = _accuracy(predictor, labels, images.labels, said)
        if said is None:
            continue
        against = _against(first, said, images.labels) if first else None
        yield Row(accuracy, mistakes(said, images.labels), against, said.answers)
        first = first or said


def _against(
    first: Said, second: Said, labels: NDArray[np.int64]
) -> tuple[PairedAccuracy, Disagreements]:
    answers = (first.answers, second.answers)
    return (
        compare_answers(first.name, second.name, *answers, labels),
        disagreements(first, second),
    )


def _said(predictor: Predictor, split: Split, classes: int, progress: Progress | None) -> Said:
    count, step = len(split), predictor.batch_size
    answers, probabilities = [], []
    logits = predictor.contract.output_kind == "logits"
    for start in range(0, count, step):
        outputs = predictor.run(split.images[start : start + step])
        if outputs.ndim != 2 or outputs.shape[1] < classes or not np.isfinite(outputs).all():
            raise ModelError(
                f"{predictor.variant.path} does not answer with a finite score for each of "
                f"{classes} classes.",
                "Look at it with `edgecnn parity`.",
            )
        answers.append(outputs.argmax(axis=1).astype(np.int64))
        scores = softmax(outputs.astype(np.float64)) if logits else outputs
        probabilities.append(scores.astype(np.float32))
        if progress:
            progress(predictor.variant.name, min(1.0, (start + step) / count))
    return Said(predictor.variant.name, np.concatenate(probabilities), np.concatenate(answers))


def _accuracy(
    predictor: Predictor, names: tuple[str, ...], labels: NDArray[np.int64], said: Said
) -> VariantAccuracy:
    size = max(len(names), int(said.answers.max()) + 1)
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (labels, said.answers), 1)
    correct = int(confusion.trace())
    return VariantAccuracy(
        name=said.name,
        runtime=predictor.session.runtime,
        provider=predictor.session.provider,
        images=len(labels),
        correct=correct,
        accuracy=wilson(correct, len(labels)),
        classes=tuple(_class(name, confusion[i], i) for i, name in enumerate(names)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        confidence=confidence_bins(said, labels),
        precision=predictor.session.precision,
        options=predictor.session.options,
    )


def _class(name: str, row: NDArray[np.int64], index: int) -> ClassAccuracy:
    images, correct = int(row.sum()), int(row[index])
    return ClassAccuracy(name, images, correct, wilson(correct, images) if images else None)


def compare_answers(
    first: str,
    second: str,
    first_answers: NDArray[np.int64],
    second_answers: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> PairedAccuracy:
    """Compare two variants' answers to the same images.

    Args:
        first: Name of the one that is compared with.
        second: Name of the other.
        first_answers: Its likeliest classes, int64 [N].
        second_answers: The other's.
        labels: The true classes, int64 [N].
    """
    right, also = first_answers == labels, second_answers == labels
    only_first, only_second = int((right & ~also).sum()), int((also & ~right).sum())
    return PairedAccuracy(
        first,
        second,
        only_first,
        only_second,
        float((first_answers == second_answers).mean()),
        tango(only_first, only_second, len(labels)),
    )
