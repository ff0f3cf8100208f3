"""The data of a bundle, found again, and other data in the form that a bundle takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecnn.bundle import Bundle
from edgecnn.data import Dataset, Split, load_dataset
from edgecnn.errors import DataError
from edgecnn.progress import Progress
from edgecnn.spec import DataRef


def bundle_data(
    bundle: Bundle,
    source: Path | str | None = None,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Load the data of a bundle again, or other data in the form that the bundle takes.

    Classes are matched by their names, in the order of the bundle's labels.

    Args:
        bundle: What the data is for.
        source: Other data than the bundle's own.
        data_dir: Folder for downloaded data; as recorded by default.
        progress: Called with what is done and the share (0 to 1) of the images that are read.

    Raises:
        DataError: The bundle has no data of its own and none was named, or its data changed since
            the bundle was made, or other data has classes that the bundle does not know.
    """
    own = bundle.manifest.data
    if source is not None:
        return _fitting(bundle, str(source), data_dir, progress)
    if own is None:
        raise DataError(
            f"{bundle.folder} has no data of its own.",
            "Name labelled images with --data FOLDER, --data FILE.npz or --data cifar10.",
        )
    found, labels = _reload(bundle, own, data_dir, progress), bundle.manifest.contract.labels
    found = by_name(found, labels, str(bundle.folder)) if labels else found
    for split, digest in (("train", own.train_sha256), ("test", own.test_sha256)):
        if getattr(found, split).sha256 != digest:
            raise DataError(
                f"The {split} images or labels of {own.source} changed after {bundle.folder} "
                "was made.",
                f"Bring them back, or name the data with `--data {own.source}` to use it as it is.",
            )
    return found


def _reload(
    bundle: Bundle, own: DataRef, data_dir: Path | None, progress: Progress | None
) -> Dataset:
    recorded = Path(own.data_dir) if own.data_dir else None
    return load_dataset(
        own.source,
        bundle.manifest.contract,
        seed=own.seed,
        data_dir=data_dir or recorded,
        test_fraction=own.test_fraction,
        labels_file=Path(own.labels_file) if own.labels_file else None,
        skip_broken=own.skip_broken,
        progress=progress,
    )


def _fitting(
    bundle: Bundle, source: str, data_dir: Path | None, progress: Progress | None
) -> Dataset:
    own, contract = bundle.manifest.data, bundle.manifest.contract
    if own and source == own.source:
        found = _reload(bundle, own, data_dir, progress)
    else:
        found = load_dataset(source, contract, data_dir=data_dir, progress=progress)
    return by_name(found, contract.labels, str(bundle.folder)) if contract.labels else found


def by_name(data: Dataset, labels: tuple[str, ...], owner: str) -> Dataset:
    """Match the classes of data with a net's by their names; the data may have fewer.

    Args:
        data: The data.
        labels: The net's classes in the order of its outputs.
        owner: Whose they are, for the error.

    Raises:
        DataError: The data has classes that the net does not know.
    """
    if data.labels == labels:
        return data
    unknown = [label for label in data.labels if label not in labels]
    if unknown:
        raise DataError(
            f"{data.source} has the classes {_listed(unknown)}, which {owner} does not know; "
            f"it knows {_listed(labels)}.",
            "Name data with classes that the model was trained on.",
        )
    places = np.array([labels.index(label) for label in data.labels], np.int64)
    train, test = (Split(each.images, places[each.labels]) for each in (data.train, data.test))
    return replace(data, labels=labels, train=train, test=test)


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return f"{shown} and {len(labels) - 5} more" if len(labels) > 5 else shown
