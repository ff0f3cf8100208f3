"""`edgecnn eval`: every variant answers the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, Split
from edgecnn.errors import DataError, InputError, ModelError
from edgecnn.evaluation.report import (
    ClassAccuracy,
    Disagreements,
    EvalReport,
    Mistakes,
    PairedAccuracy,
    SplitName,
    VariantAccuracy,
)
from edgecnn.evaluation.worst import Said, confidence_bins, disagreements, mistakes, pictures
from edgecnn.predictor import Predictor, load, softmax
from edgecnn.stats import tango, wilson

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class _Row:
    accuracy: VariantAccuracy
    mistakes: Mistakes
    against_first: tuple[PairedAccuracy, Disagreements] | None


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
    rows = list(_measure(ready, names, images, loaded.labels, progress))
    pairs = [row.against_first for row in rows if row.against_first]
    wrong = tuple(row.mistakes for row in rows)
    differing = tuple(differ for _, differ in pairs)
    return EvalReport(
        data=loaded.name,
        source=loaded.source,
        split=split,
        split_sha256=images.sha256,
        images=len(images),
        labels=loaded.labels,
        variants=tuple(row.accuracy for row in rows),
        comparisons=tuple(pair for pair, _ in pairs),
        measured=_digests(opened, names),
        notes=loaded.notes,
        mistakes=wrong,
        disagreements=differing,
        pictures=pictures(images, opened.manifest.contract.color, [*differing, *wrong]),
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


def _measure(
    ready: Callable[..., Predictor],
    names: Sequence[str],
    images: Split,
    labels: tuple[str, ...],
    progress: Progress | None,
) -> Iterator[_Row]:
    # Two variants' probabilities at a time: those of 50,000 images in 1,000 classes take 200 MB.
    first = None
    for name in names:
        with ready(variant=name) as predictor:
            said = _said(predictor, images, len(labels), progress)
            accuracy = _accuracy(predictor, labels, images.labels, said)
        against = _against(first, said, images.labels) if first else None
        yield _Row(accuracy, mistakes(said, images.labels), against)
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
    )


def _class(name: str, row: NDArray[np.int64], index: int) -> ClassAccuracy:
    images, correct = int(row.sum()), int(row[index])
    return ClassAccuracy(name, images, correct, wilson(correct, images) if images else None)


def _digests(bundle: Bundle, names: Sequence[str]) -> dict[str, str]:
    files = [file for name in names for file in bundle.variant(name).files]
    return {file: bundle.files[file].sha256 for file in files}
