"""A NumPy file with `x_train`, `y_train`, `x_test`, `y_test`, and class names in `labels` or none.

Images are uint8 [N, height, width] or [N, height, width, channels]; labels are integers [N] or
[N, 1]. Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data._classes import read_labels
from edgecnn.data._dataset import Dataset, Request, Split, fit_some, note_leak
from edgecnn.data._storage import fitted, refuse_too_large
from edgecnn.errors import DataError
from edgecnn.machine import this_machine
from edgecnn.spec import InputContract

USAGE = "FILE.npz"
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_HOW = (
    "Write it with `np.savez(FILE, x_train=…, y_train=…, x_test=…, y_test=…)`: "
    "uint8 images [N, height, width, channels] and integer labels [N]."
)


def accepts(source: str) -> bool:
    """Say whether this is a NumPy file, by its name."""
    return source.lower().endswith(".npz")


def load(request: Request) -> Dataset:
    """Read a NumPy file's images and labels."""
    path = Path(request.source).resolve()
    arrays, labels = _read_checked(request, path)
    count = len(arrays["x_train"]) + len(arrays["x_test"])
    refuse_too_large(count, request.contract.pixel_shape)
    train, test = (_split(arrays, part, request) for part in ("train", "test"))
    _check_classes(train, test, labels, path)
    return Dataset(
        name=path.stem,
        source=str(path),
        labels=labels,
        train=train,
        test=test,
        test_fraction=request.test_fraction,
        labels_file=str(request.labels_file.resolve()) if request.labels_file else "",
        skip_broken=request.skip_broken,
        notes=note_leak(train, test),
    )


def sample(
    request: Request, contracts: Sequence[InputContract], count: int
) -> tuple[tuple[str, ...], tuple[Split, ...]]:
    """Bring some training images to several forms."""
    arrays, labels = _read_checked(request, Path(request.source).resolve())
    numbers = arrays["y_train"].reshape(-1).astype(np.int64)
    return labels, fit_some(arrays["x_train"], numbers, contracts, count)


def _read_checked(request: Request, path: Path) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    arrays = _read(path)
    for part in ("train", "test"):
        _check_images(arrays[f"x_{part}"], f"x_{part} of {path}")
        _check_labels(arrays[f"y_{part}"], len(arrays[f"x_{part}"]), f"y_{part} of {path}")
    return arrays, _class_names(request, arrays, path)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    with _damage(path), zipfile.ZipFile(path) as file:
        unpacked = sum(member.file_size for member in file.infolist())
    _refuse_huge(path, unpacked)
    # np.load would leave a damaged file open if it opened it itself.
    with _damage(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        names = file.files
        arrays = {key: file[key] for key in (*_KEYS, "labels") if key in names}
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        has = ", ".join(names) or "nothing"
        raise DataError(f"{path} has no {', '.join(missing)}; it has {has}.", _HOW)
    return arrays


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged zip file fails in a dozen ways
        if "allow_pickle" in str(error):
            problem = f"{path} holds Python objects, which are never loaded: they could run code."
            raise DataError(problem, "Save plain arrays of numbers and strings.") from error
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged or no npz file: {reason}.", _HOW) from error


def _refuse_huge(path: Path, unpacked: int) -> None:
    have = this_machine().memory_bytes
    if have and unpacked > have:
        raise DataError(
            f"{path} unpacks to {unpacked / 1e9:.1f} GB, and this machine has {have / 1e9:.1f} GB "
            "of memory.",
            "Use fewer or smaller images.",
        )


def _check_images(array: NDArray[Any], name: str) -> None:
    if array.dtype != np.uint8:
        if array.dtype.kind == "f":
            remedy = "Save the pixels themselves: `(x * 255).round().astype('uint8')` if 0 to 1."
        else:
            remedy = "Save them as uint8, if they go from 0 to 255: `x.astype('uint8')`."
        raise DataError(f"{name} is {array.dtype}, but pixels are uint8 from 0 to 255.", remedy)
    shape = list(array.shape)
    if array.ndim not in (3, 4) or 0 in shape:
        raise DataError(f"{name} has the shape {shape}, which is no stack of images.", _HOW)
    if array.ndim == 4 and shape[3] not in (1, 3, 4):
        raise DataError(
            f"{name} has the shape {shape}; its last axis is not 1, 3 or 4 channels.",
            "Put the channels last: `x.transpose(0, 2, 3, 1)`.",
        )


def _check_labels(array: NDArray[Any], count: int, name: str) -> None:
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{name} is {array.dtype}, but labels are integers from 0.",
            "Save the class numbers: `y.astype('int64')`, or `y.argmax(1)` of a one-hot array.",
        )
    if array.shape not in ((count,), (count, 1)):
        raise DataError(
            f"{name} has the shape {list(array.shape)}, but there are {count} images.", _HOW
        )
    if array.min() < 0 or array.max() >= 2**31:
        raise DataError(
            f"{name} has labels from {array.min()} to {array.max()}.",
            "Number the classes from 0 without gaps.",
        )


def _class_names(request: Request, arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    """Take the names from the labels file, the npz file or the model; else they are numbers."""
    count = int(max(arrays["y_train"].max(), arrays["y_test"].max())) + 1
    if request.labels_file:
        names = read_labels(request.labels_file)
    elif "labels" in arrays:
        if arrays["labels"].ndim != 1 or arrays["labels"].dtype.kind not in "US":
            raise DataError(f"labels of {path} is no list of names.", "Save an array of strings.")
        names = tuple(map(str, arrays["labels"].astype(str)))
    else:
        names = request.contract.labels or tuple(map(str, range(count)))
    if len(names) < count or len(set(names)) < len(names):
        raise DataError(
            f"{path} has labels up to {count - 1}, but {len(set(names))} different class names.",
            "Name each class once, in order.",
        )
    return names


def _split(arrays: dict[str, NDArray[Any]], part: str, request: Request) -> Split:
    images = fitted(arrays[f"x_{part}"], request.contract, request.progress)
    return Split(images, arrays[f"y_{part}"].reshape(-1).astype(np.int64))


def _check_classes(train: Split, test: Split, labels: tuple[str, ...], path: Path) -> None:
    trained, tested = set(train.labels.tolist()), set(test.labels.tolist())
    empty = [labels[label] for label in sorted(tested - trained)]
    if empty:
        raise DataError(
            f"{path} has test images of the class '{empty[0]}', but none to train on.",
            "Number the classes from 0 without gaps, each with training images.",
        )
