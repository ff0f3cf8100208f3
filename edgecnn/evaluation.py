"""Accuracy on labelled images, with its interval, and variants compared on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data as bundle_data
from edgecnn.data import Dataset, Split
from edgecnn.errors import DataError, InputError, ModelError
from edgecnn.predictor import Predictor, load
from edgecnn.stats import Interval, tango, wilson

Progress = Callable[[str, float], None]
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
    """

    name: str
    runtime: str
    provider: str
    images: int
    correct: int
    accuracy: Interval
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]


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
        comparisons: Each later variant against the first.
        measured: SHA-256 of every file that was measured, by name.
        notes: What should be known of the data: images left out, images in both splits, …
    """

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


def evaluate(
    bundle: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    data: Dataset | Path | str | None = None,
    split: SplitName = "test",
    *,
    data_dir: Path | None = None,
    runtime: str = "ort",
    provider: str | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> EvalReport:
    """Measure accuracy on a split, and compare later variants with the first.

    Args:
        bundle: A bundle or its folder.
        variants: Names of variants; all of the bundle's by default.
        data: Data or its source; the bundle's own by default.
        split: `test` or `train`.
        data_dir: Folder for downloaded data.
        runtime: Name or path of the runtime.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator; by default the cores that this process may use.
        batch_size: Images in one run; by default what fits into 1 MiB.
        progress: Called with what is done, such as a variant's name, and the share (0 to 1) of
            its images that is behind.

    Raises:
        DataError: There is no data, or it does not fit the bundle.
        InputError: The outputs are no classes, or the bundle cannot be used.
        UnavailableError: The runtime or provider is not to be had here.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    names = _names(opened, variants)
    ready = partial(
        load, opened, runtime=runtime, provider=provider, threads=threads, batch_size=batch_size
    )
    for name in names:
        ready(variant=name).close()  # what cannot run is refused before any data is read
    if isinstance(data, Dataset):
        loaded = data
    else:
        loaded = bundle_data(opened, data, data_dir=data_dir, progress=progress)
    images: Split = getattr(loaded, split)
    if not len(images):
        raise DataError(f"The {split} split of {loaded.source} is empty.", "Name other data.")
    found, answers = [], []
    for name in names:
        with ready(variant=name) as predictor:
            answers.append(_answers(predictor, images, len(loaded.labels), progress))
            found.append(_accuracy(predictor, loaded.labels, images.labels, answers[-1]))
    comparisons = [
        compare_answers(names[0], name, answers[0], later, images.labels)
        for name, later in zip(names[1:], answers[1:], strict=True)
    ]
    return EvalReport(
        data=loaded.name,
        source=loaded.source,
        split=split,
        split_sha256=images.sha256,
        images=len(images),
        labels=loaded.labels,
        variants=tuple(found),
        comparisons=tuple(comparisons),
        measured=_digests(opened, names),
        notes=loaded.notes,
    )


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


def _names(bundle: Bundle, variants: Sequence[str] | None) -> tuple[str, ...]:
    if bundle.manifest.contract.output_kind == "other":
        raise InputError(
            f"The outputs of {bundle.folder} are not classes, so they have no accuracy.",
            f"Compare them instead with `edgecnn parity {bundle.folder}`.",
        )
    names = tuple(variants or (variant.name for variant in bundle.manifest.variants))
    if not names:
        bundle.variant("fp32")
    return names


def _answers(
    predictor: Predictor, split: Split, classes: int, progress: Progress | None
) -> NDArray[np.int64]:
    count, step, parts = len(split), predictor.batch_size, []
    for start in range(0, count, step):
        outputs = predictor.run(split.images[start : start + step])
        if outputs.ndim != 2 or outputs.shape[1] < classes or not np.isfinite(outputs).all():
            raise ModelError(
                f"{predictor.variant.path} does not answer with a finite score for each of "
                f"{classes} classes.",
                "Look at it with `edgecnn parity`.",
            )
        parts.append(outputs.argmax(axis=1).astype(np.int64))
        if progress:
            progress(predictor.variant.name, min(1.0, (start + step) / count))
    return np.concatenate(parts)


def _accuracy(
    predictor: Predictor,
    names: tuple[str, ...],
    labels: NDArray[np.int64],
    answers: NDArray[np.int64],
) -> VariantAccuracy:
    size = max(len(names), int(answers.max()) + 1)
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    correct = int(confusion.trace())
    return VariantAccuracy(
        name=predictor.variant.name,
        runtime=predictor.session.runtime,
        provider=predictor.session.provider,
        images=len(labels),
        correct=correct,
        accuracy=wilson(correct, len(labels)),
        classes=tuple(_class(name, confusion[i], i) for i, name in enumerate(names)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _class(name: str, row: NDArray[np.int64], index: int) -> ClassAccuracy:
    images, correct = int(row.sum()), int(row[index])
    return ClassAccuracy(name, images, correct, wilson(correct, images) if images else None)


def _digests(bundle: Bundle, names: Sequence[str]) -> dict[str, str]:
    files = [file for name in names for file in bundle.variant(name).files]
    return {file: bundle.files[file].sha256 for file in files}
