"""Data sets: one file of this folder for each source, all becoming one `Dataset`.

A source is a module that defines `USAGE` (how a user names it), `accepts(source)`, `load(request)`
and `sample(request, contracts, count)`. A file put into this folder is found by listing it; names
that begin with an underscore are no sources.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgecnn.data._classes import read_labels
from edgecnn.data._dataset import Dataset, Request, Split, balanced, by_content, spread
from edgecnn.data._stand_in import stand_in_images
from edgecnn.errors import DataError
from edgecnn.progress import Progress
from edgecnn.spec import InputContract

__all__ = [
    "Dataset",
    "Request",
    "Sample",
    "Source",
    "Split",
    "balanced",
    "by_content",
    "load_dataset",
    "read_labels",
    "sample",
    "spread",
    "stand_in_images",
]


class Source(Protocol):
    """What a module of this folder defines."""

    USAGE: str

    def accepts(self, source: str) -> bool:
        """Say whether this source is meant by what the user wrote."""

    def load(self, request: Request) -> Dataset:
        """Load the data, its images in the form of the request's contract."""

    def sample(
        self, request: Request, contracts: Sequence[InputContract], count: int
    ) -> tuple[tuple[str, ...], tuple[Split, ...]]:
        """Give the class names, and some images in the form of each contract; none of test."""


def load_dataset(
    source: str | Path,
    contract: InputContract,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    test_fraction: float = 0.2,
    labels_file: Path | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set as uint8 images of the contract's size and colour.

    Args:
        source: `synthetic`, `cifar10`, a folder of images or a `.npz` file.
        contract: Size, colour and resize rule of the images.
        seed: Seed of rendering (`synthetic`).
        data_dir: Where downloaded data lies; `data` by default (`cifar10`).
        test_fraction: Share of images that a single folder of classes gives to the test split.
        labels_file: A file with one class name on each line, in order.
        skip_broken: Leave broken images out and note it, instead of stopping.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        DataError: There is no such data, or it cannot be used as it is.
        UnavailableError: A package that the source needs is not installed.
    """
    request = Request(
        source=str(source),
        contract=contract,
        seed=seed,
        data_dir=data_dir,
        test_fraction=test_fraction,
        labels_file=labels_file,
        skip_broken=skip_broken,
        progress=progress,
    )
    return _find(request.source).load(request)


def sample(
    source: str | Path,
    contracts: Sequence[InputContract],
    count: int,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    test_fraction: float = 0.2,
    labels_file: Path | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
) -> Sample:
    """Read some images of a data set in several forms, the classes as equal as possible.

    They are the same whatever the forms are, and none of them belongs to the test split. Of a
    folder only the sample's files are decoded.

    Args:
        source: As in `load_dataset`.
        contracts: Size, colour, resize rule and filter of each form, at least one; the first one's
            labels give the order of the classes, where they are those of the data.
        count: How many images; all of the training split if it has fewer.
        seed: As in `load_dataset`.
        data_dir: Likewise.
        test_fraction: Likewise.
        labels_file: Likewise.
        skip_broken: Likewise; the sample is then smaller.
        progress: Likewise.

    Raises:
        DataError: There is no such data, or it cannot be used as it is.
        UnavailableError: A package that the source needs is not installed.
    """
    request = Request(
        source=str(source),
        contract=contracts[0],
        seed=seed,
        data_dir=data_dir,
        test_fraction=test_fraction,
        labels_file=labels_file,
        skip_broken=skip_broken,
        progress=progress,
    )
    labels, splits = _find(request.source).sample(request, contracts, count)
    return Sample(labels, splits)


@dataclass(frozen=True, eq=False)
class Sample:
    """The same images in several forms.

    Attributes:
        labels: Class names in the order of the labels.
        splits: The images and their labels, once for each form, in the order asked for.
    """

    labels: tuple[str, ...]
    splits: tuple[Split, ...]


def _find(source: str) -> Source:
    sources = _sources()
    # A source's own name goes first: a folder that happens to be called `synthetic` is ./synthetic.
    for name in sorted(sources, key=lambda name: (name != source, name)):
        if sources[name].accepts(source):
            return sources[name]
    usages = [found.USAGE for found in sources.values()]
    raise DataError(
        f"There is no data '{source}'.", f"Use {', '.join(usages[:-1])} or {usages[-1]}."
    )


def _sources() -> dict[str, Source]:
    names = [module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"]
    return {name: cast(Source, import_module(f"{__name__}.{name}")) for name in sorted(names)}
