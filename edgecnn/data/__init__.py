"""Data sets: one file of this folder for each source, all becoming one `Dataset`.

A source is a module that defines `USAGE` (how a user names it), `accepts(source)` and
`load(request)`. A file put into this folder is found by listing it; names that begin with an
underscore are no sources.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgecnn.data._classes import read_labels
from edgecnn.data._dataset import Dataset, Progress, Request, Split, balanced, by_content
from edgecnn.data._stand_in import stand_in_images
from edgecnn.errors import DataError
from edgecnn.spec import InputContract

__all__ = [
    "Dataset",
    "Request",
    "Source",
    "Split",
    "balanced",
    "by_content",
    "load_dataset",
    "read_labels",
    "stand_in_images",
]


class Source(Protocol):
    """What a module of this folder defines."""

    USAGE: str

    def accepts(self, source: str) -> bool:
        """Say whether this source is meant by what the user wrote."""

    def load(self, request: Request) -> Dataset:
        """Load the data, its images in the form of the request's contract."""


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
    if not 0 < test_fraction < 1:
        raise DataError(
            f"A test fraction of {test_fraction} leaves one split empty.",
            "Use a share between 0 and 1, such as --test-fraction 0.2.",
        )
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
