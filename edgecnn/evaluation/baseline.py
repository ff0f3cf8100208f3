"""A baseline answers the same images, so that a loss is judged image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset, Split
from edgecnn.errors import DataError, InputError
from edgecnn.evaluation.measuring import Row, compare_answers
from edgecnn.evaluation.report import Baseline, SplitName
from edgecnn.progress import Progress
from edgecnn.spec import InputContract


@dataclass(frozen=True)
class Rival:
    """The baseline's bundle, and its variants that the measured bundle has too."""

    bundle: Bundle
    names: tuple[str, ...]


def find_rival(baseline: Bundle | Path | str, bundle: Bundle, names: Sequence[str]) -> Rival:
    """Open a baseline.

    Args:
        baseline: Its bundle.
        bundle: The measured bundle.
        names: Variants of that one which are measured.

    Raises:
        InputError: Nothing of the two can be compared.
    """
    old = baseline if isinstance(baseline, Bundle) else open_bundle(baseline)
    theirs = [variant.name for variant in old.manifest.variants]
    shared = tuple(name for name in names if name in theirs)
    if not shared:
        raise InputError(
            f"{old.folder} has none of the variants {', '.join(names)}; "
            f"it has {', '.join(theirs) or 'none'}.",
            "Name a baseline with a variant of the same name, or another --variant.",
        )
    labels = (bundle.manifest.contract.labels, old.manifest.contract.labels)
    if old.manifest.contract.output_kind == "other" or (all(labels) and labels[0] != labels[1]):
        raise InputError(
            f"{old.folder} and {bundle.folder} do not tell the same classes apart in the same "
            "order, so their answers cannot be compared.",
            "Name a baseline with the same labels.",
        )
    return Rival(old, shared)


def images_for(
    rival: Rival,
    bundle: Bundle,
    data: Dataset | Path | str | None,
    loaded: Dataset,
    split: SplitName,
    data_dir: Path | None,
    progress: Progress | None,
) -> Split:
    """Give the measured bundle's images in the form that the baseline takes.

    Args:
        rival: The baseline.
        bundle: The measured bundle.
        data: The data that was named; None for the measured bundle's own.
        loaded: What the measured bundle answered.
        split: `test` or `train`.
        data_dir: Folder for downloaded data.
        progress: Called with what is done and the share (0 to 1) that is read.

    Raises:
        DataError: The same images cannot be had in that form.
    """
    own: Split = getattr(loaded, split)
    form = rival.bundle.manifest.contract
    if _form(form) == _form(bundle.manifest.contract):
        return own
    known = bundle.manifest.data
    source = data if data is not None else known.source if known else None
    if source is None or isinstance(source, Dataset):
        raise DataError(
            f"{rival.bundle.folder} takes images in another form than {bundle.folder}.",
            "Name the images' source, so that they can be read in both forms.",
        )
    # The bundle's own description of its data, and the baseline's form: the same pictures again.
    reader = replace(bundle, manifest=replace(bundle.manifest, contract=form))
    again: Split = getattr(bundle_data(reader, source, data_dir=data_dir, progress=progress), split)
    if not np.array_equal(again.labels, own.labels):
        raise DataError(
            f"{source} does not give the same images in the form of {rival.bundle.folder}.",
            "Name other data with --data.",
        )
    return again


def compare_with(
    rival: Rival, rows: Sequence[Row], theirs: Sequence[Row], labels: NDArray[np.int64]
) -> Baseline:
    """Compare the measured bundle's variants with the baseline's of the same names.

    Args:
        rival: The baseline.
        rows: What was found of the measured bundle.
        theirs: What was found of the baseline.
        labels: The true classes, int64 [N].
    """
    answers = {row.accuracy.name: row.answers for row in rows}
    pairs = [
        compare_answers(
            f"baseline {row.accuracy.name}",
            row.accuracy.name,
            row.answers,
            answers[row.accuracy.name],
            labels,
        )
        for row in theirs
        if row.accuracy.name in answers
    ]
    return Baseline(
        bundle=str(rival.bundle.folder),
        variants=tuple(row.accuracy for row in theirs),
        comparisons=tuple(pairs),
        measured=variant_digests(rival.bundle, rival.names),
    )


def variant_digests(bundle: Bundle, names: Sequence[str]) -> dict[str, str]:
    """Give the SHA-256 of every file of some variants, by its name."""
    files = [file for name in names for file in bundle.variant(name).files]
    return {file: bundle.files[file].sha256 for file in files}


def _form(contract: InputContract) -> tuple[object, ...]:
    return (contract.pixel_shape, contract.color, contract.resize, contract.filter)
