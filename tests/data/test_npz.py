from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data import load_dataset
from edgecnn.errors import DataError
from edgecnn.images import fit_all
from edgecnn.machine import this_machine
from edgecnn.spec import InputContract

CONTRACT = InputContract(6, 5)


def arrays(**changes: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """Give a sound file's arrays; None takes one away."""
    random = np.random.default_rng(0)
    whole: dict[str, NDArray[Any] | None] = {
        "x_train": random.integers(0, 256, (6, 6, 5, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": random.integers(0, 256, (3, 6, 5, 3), dtype=np.uint8),
        "y_test": np.array([2, 1, 0]),
    }
    return {key: array for key, array in (whole | changes).items() if array is not None}


def written(path: Path, **changes: NDArray[Any] | None) -> Path:
    np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    return path


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "birds.NPZ.npz", labels=np.array(["tit", "owl", "emu"]))
    data, wanted = load_dataset(path, CONTRACT), arrays()
    assert (data.name, data.source) == ("birds.NPZ", str(path))
    assert data.labels == ("tit", "owl", "emu")
    assert data.notes == ()
    for split, part in ((data.train, "train"), (data.test, "test")):
        np.testing.assert_array_equal(split.images, wanted[f"x_{part}"])
        np.testing.assert_array_equal(split.labels, wanted[f"y_{part}"])


def test_labels_may_be_a_column_of_any_integers(tmp_path: Path) -> None:
    column = arrays()["y_train"][:, None].astype(np.uint8)
    path = written(tmp_path / "x.npz", y_train=column, y_test=np.array([2, 1, 0], ">i2"))
    data = load_dataset(path, CONTRACT)
    assert data.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.test.labels.tolist() == [2, 1, 0]


def test_images_are_brought_to_the_contract(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npz")
    for contract in (
        InputContract(4, 9, resize="letterbox"),
        InputContract(6, 5, "gray", mean=(0,), std=(1,)),
    ):
        found = load_dataset(path, contract).train.images
        np.testing.assert_array_equal(found, fit_all(arrays()["x_train"], contract))
    grey = written(tmp_path / "grey.npz", x_train=arrays()["x_train"][..., 0])
    assert load_dataset(grey, CONTRACT).train.images.shape == (6, 6, 5, 3)


def test_names_come_from_the_labels_file_the_file_or_the_model(tmp_path: Path) -> None:
    path, file = written(tmp_path / "x.npz"), tmp_path / "labels.txt"
    file.write_text("a\nb\nc\n")
    assert load_dataset(path, CONTRACT).labels == ("0", "1", "2")
    assert load_dataset(path, CONTRACT, labels_file=file).labels == ("a", "b", "c")
    known = InputContract(6, 5, labels=("x", "y", "z", "more"))
    assert load_dataset(path, known).labels == known.labels


def refused(path: Path, problem: str) -> DataError:
    with pytest.raises(DataError, match=problem) as error:
        load_dataset(path, CONTRACT)
    assert str(path) in error.value.problem
    return error.value


_X, _Y = arrays()["x_train"], arrays()["y_train"]


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"x_train": _X / 255}, "x_train of .* is float64, but pixels are uint8", "(x * 255)"),
        ({"x_test": _X.astype(np.int64)}, "x_test of .* is int64", "x.astype('uint8')"),
        ({"x_train": _X.astype(bool)}, "x_train of .* is bool", "uint8"),
        ({"x_train": _X.transpose(0, 3, 1, 2)}, "last axis is not 1, 3 or 4", "transpose(0, 2, 3"),
        ({"x_train": _X[0, 0]}, "is no stack of images", "np.savez"),
        ({"x_train": _X[:0], "y_train": _Y[:0]}, "is no stack of images", "np.savez"),
        ({"x_train": _X[:, :0]}, "is no stack of images", "np.savez"),
        ({"y_train": _Y * 1.0}, "y_train of .* is float64, but labels are integers", "int64"),
        ({"y_train": np.eye(3)[_Y].astype(bool)}, "is bool, but labels", "argmax"),
        ({"y_train": np.eye(3, dtype=int)[_Y]}, r"has the shape \[6, 3\], but there are 6", "int"),
        ({"y_train": _Y[:5]}, r"has the shape \[5\], but there are 6 images", "np.savez"),
        ({"y_train": _Y - 1}, "has labels from -1 to 1", "from 0"),
        ({"y_test": np.array([9, 3, 3])}, "test images of the class '3', but none to", "gaps"),
        ({"labels": np.array(["a", "b"])}, "up to 2, but 2 different class names", "once"),
        ({"labels": np.array(["a", "b", "a"])}, "up to 2, but 2 different class names", "once"),
        ({"labels": np.array([1, 2, 3])}, "labels of .* is no list of names", "strings"),
        ({"y_test": None, "x_test": None}, "has no x_test, y_test; it has x_train", "np.savez"),
        ({"y_test": np.array([{}, {}, {}])}, "Python objects, which are never loaded", "numbers"),
    ],
)
def test_each_wrong_array_has_its_remedy(
    changes: dict[str, Any], problem: str, remedy: str, tmp_path: Path
) -> None:
    assert remedy in refused(written(tmp_path / "x.npz", **changes), problem).remedy


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    content = written(tmp_path / "x.npz").read_bytes()
    flipped = bytearray(content)
    flipped[300] ^= 1
    for name, damaged in {
        "empty": b"",
        "half": content[: len(content) // 2],
        "flip": bytes(flipped),
        "text": b"hello",
    }.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(damaged)
        refused(path, "is damaged or no npz file")
    np.save(tmp_path / "array.npy", _X)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    refused(tmp_path / "array.npz", "is damaged or no npz file")
    refused(tmp_path / "none.npz", "There is no file")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path, members = tmp_path / "bomb.npz", this_machine().memory_bytes // 4_000_000_000 + 1
    np.savez_compressed(path, **{f"x{n}": np.zeros(9, np.uint8) for n in range(members)})  # type: ignore[arg-type]
    content, entry = bytearray(path.read_bytes()), 0
    while (entry := content.find(b"PK\x01\x02", entry + 1)) > 0:
        content[entry + 24 : entry + 28] = (4_200_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, r"unpacks to [\d.]+ GB, and this machine has [\d.]+ GB of memory")


def test_images_in_both_splits_are_noted(tmp_path: Path) -> None:
    data = load_dataset(written(tmp_path / "x.npz", x_test=_X[:3]), CONTRACT)
    assert data.notes[0].startswith("3 of 3 test images are training images as well")


def test_every_class_that_is_tested_was_trained(tmp_path: Path) -> None:
    # Class 2 is in neither part; 3 in the test part alone.
    train = np.arange(len(arrays()["y_train"])) % 2
    test = np.full(len(arrays()["y_test"]), 3)
    refused(written(tmp_path / "a.npz", y_train=train, y_test=test, labels=None), "class '3'")
