"""What every source of data becomes: two splits of uint8 images and their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecnn.data._storage import fitted, pick
from edgecnn.errors import DataError
from edgecnn.progress import Progress
from edgecnn.spec import DataRef, InputContract


@dataclass(frozen=True)
class Request:
    """Which data is asked for, and in which form.

    Attributes:
        source: As the user wrote it.
        contract: Size, colour and resize rule of the images.
        seed: Seed of rendering.
        data_dir: Where downloaded data lies; None for the source's own choice.
        test_fraction: Share of images (0 to 1) that a single folder of classes gives to the test
            split.
        labels_file: A file with one class name on each line, in order; None to order by name.
        skip_broken: Leave broken images out instead of stopping.
        progress: Called with what is done and the share (0 to 1) that is behind.
    """

    source: str
    contract: InputContract
    seed: int = 0
    data_dir: Path | None = None
    test_fraction: float = 0.2
    labels_file: Path | None = None
    skip_broken: bool = False
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1:
            raise DataError(
                f"A test fraction of {self.test_fraction} leaves one split empty.",
                "Use a share between 0 and 1, such as --test-fraction 0.2.",
            )


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, in memory; many of them in a mapped file.

    Attributes:
        images: uint8 [N, height, width, channels], C-contiguous.
        labels: int64 [N], indices into the data set's class names.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8
        assert self.images.ndim == 4
        assert self.images.flags.c_contiguous
        assert self.labels.dtype == np.int64
        assert self.labels.shape == self.images.shape[:1]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64]) -> Split:
        """Give the images at some indices as a split of their own."""
        return Split(pick(self.images, indices), self.labels[indices])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of shape, pixels and labels, in hexadecimal; the same on every machine."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(self.images.data)
        digest.update(self.labels.astype("<i8").data)
        return digest.hexdigest()

    @cached_property
    def content_keys(self) -> npt.NDArray[np.uint64]:
        """First 64 bits of each image's SHA-256; uint64 [N]."""
        keys = b"".join(hashlib.sha256(image).digest()[:8] for image in self.images)
        return np.frombuffer(keys, ">u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: labelled images to train on, and others to test on.

    Attributes:
        name: Short name, the key of a recipe's `accuracy`.
        source: `synthetic`, `cifar10`, or an absolute path.
        labels: Class names in the order of the labels.
        train: What a net may learn from and be calibrated on.
        test: What is read once, for the final figure.
        seed: As in Request.
        test_fraction: As in Request.
        labels_file: Absolute path of the labels file, or empty.
        data_dir: Absolute path of the folder with downloaded data, or empty.
        skip_broken: As in Request.
        notes: What a user should be told: images left out, a cache made anew, …
    """

    name: str
    source: str
    labels: tuple[str, ...]
    train: Split
    test: Split
    seed: int = 0
    test_fraction: float = 0.2
    labels_file: str = ""
    data_dir: str = ""
    skip_broken: bool = False
    notes: tuple[str, ...] = ()

    def reference(self) -> DataRef:
        """Describe this data set so that later commands find the same images."""
        return DataRef(
            source=self.source,
            name=self.name,
            seed=self.seed,
            test_fraction=self.test_fraction,
            labels_file=self.labels_file,
            data_dir=self.data_dir,
            skip_broken=self.skip_broken,
            train_images=len(self.train),
            test_images=len(self.test),
            train_sha256=self.train.sha256,
            test_sha256=self.test.sha256,
        )


def by_content(split: Split) -> npt.NDArray[np.int64]:
    """Order a split by the hash of its images' content.

    The order does not depend on the order of the files. Calibration takes its images from the
    front, the training holdout from the back, so that the two never meet.

    Returns:
        Indices into the split; int64 [N].
    """
    return np.lexsort((split.labels, split.content_keys)).astype(np.int64)


def balanced(split: Split, count: int) -> npt.NDArray[np.int64]:
    """Pick images with the classes as equal as possible, in the order of their content.

    Args:
        split: Where to pick from.
        count: How many images; all of them if the split has fewer.

    Returns:
        Indices into the split; int64 [min(count, N)].
    """
    return spread(split.labels, by_content(split), count)


def spread(
    labels: npt.NDArray[np.int64], order: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Pick from the front of an order, with the classes as equal as possible.

    Args:
        labels: Class of each item; int64 [N].
        order: Indices of the items, those to take first in front; int64 [N].
        count: How many items; all of them if there are fewer.

    Returns:
        Indices in the given order; int64 [min(count, N)].
    """
    turn = np.empty(len(order), dtype=np.int64)
    for label in np.unique(labels):
        own = labels[order] == label
        turn[own] = np.arange(own.sum())
    chosen = np.sort(np.argsort(turn, kind="stable")[:count])
    picked: npt.NDArray[np.int64] = order[chosen]
    return picked


def fit_some(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    contracts: Sequence[InputContract],
    count: int,
) -> tuple[Split, ...]:
    """Bring some images, the classes as equal as possible, to the form of each contract.

    Args:
        images: uint8 [N, height, width] or [N, height, width, channels].
        labels: int64 [N].
        contracts: Size, colour, resize rule and filter of each form.
        count: How many images.
    """
    chosen = spread(labels, by_content(Split(_stacked(images), labels)), count)
    some = images[chosen]
    return tuple(Split(fitted(some, contract), labels[chosen]) for contract in contracts)


def _stacked(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(images.reshape(*images.shape[:3], -1))


def note_leak(train: Split, test: Split) -> tuple[str, ...]:
    """Note how many test images are training images as well, pixel for pixel."""
    shared = int(np.isin(test.content_keys, train.content_keys).sum())
    if not shared:
        return ()
    return (
        f"{shared} of {len(test)} test images are training images as well: "
        "accuracy on them proves nothing.",
    )
