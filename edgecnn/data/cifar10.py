"""CIFAR-10 by torchvision, which downloads it once into the data folder (170 MB)."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.data._dataset import Dataset, Request, Split, fit_some
from edgecnn.data._storage import fitted, refuse_too_large
from edgecnn.errors import DataError, UnavailableError
from edgecnn.spec import InputContract

USAGE = "cifar10"
_FOLDER = Path("data")
_STALL_SECONDS = 20.0


def accepts(source: str) -> bool:
    """Say whether CIFAR-10 is meant."""
    return source == "cifar10"


def load(request: Request) -> Dataset:
    """Read CIFAR-10 from the data folder; download it first if it is not there."""
    folder = (request.data_dir or _FOLDER).resolve()
    refuse_too_large(60_000, request.contract.pixel_shape)
    train, test = _open(folder)
    return Dataset(
        name="cifar10",
        source="cifar10",
        labels=tuple(train.classes),
        train=_split(train, request),
        test=_split(test, request),
        data_dir=str(folder),
    )


def sample(
    request: Request, contracts: Sequence[InputContract], count: int
) -> tuple[tuple[str, ...], tuple[Split, ...]]:
    """Bring some training images to several forms."""
    train, _ = _open((request.data_dir or _FOLDER).resolve())
    numbers = np.array(train.targets, np.int64)
    return tuple(train.classes), fit_some(train.data, numbers, contracts, count)


def _open(folder: Path) -> tuple[Any, Any]:
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise UnavailableError(
            "The data 'cifar10' needs torchvision, which is not installed.",
            "Install it with `pip install 'edgecnn[train]'`, or use --data DIR.",
        ) from error
    try:
        with _download_limits():
            train = CIFAR10(str(folder), train=True, download=True)
            return train, CIFAR10(str(folder), train=False)
    except (OSError, RuntimeError, EOFError) as error:
        raise DataError(
            f"CIFAR-10 is not in {folder} and could not be downloaded: {error}.",
            "Check the network and the disk, name the folder that has it with --data-dir, or use "
            "--data synthetic or --data DIR.",
        ) from error


@contextlib.contextmanager
def _download_limits() -> Iterator[None]:
    """Let a dead connection fail soon, and show a progress bar only on a terminal."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALL_SECONDS)
    quiet = contextlib.redirect_stderr(io.StringIO())
    try:
        with contextlib.nullcontext() if sys.stderr.isatty() else quiet:
            yield
    finally:
        socket.setdefaulttimeout(before)


def _split(part: Any, request: Request) -> Split:
    images = fitted(np.ascontiguousarray(part.data), request.contract, request.progress)
    return Split(images, np.array(part.targets, np.int64))
