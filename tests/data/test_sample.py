from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data import Split, load_dataset, sample
from edgecnn.disk import cache_folder
from edgecnn.errors import DataError
from edgecnn.spec import InputContract

PLAIN = InputContract(12, 12)
CROP, SWAPPED = replace(PLAIN, resize="crop 16"), replace(PLAIN, color="bgr")
CLASSES = ("ant", "bee", "cow")


def noise(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, 14, 18, 3), dtype=np.uint8)


def fill(root: Path, parts: tuple[str, ...], each: int = 12) -> Path:
    pictures = iter(noise(each * len(parts) * len(CLASSES)))
    for part in parts:
        for label in CLASSES:
            (root / part / label).mkdir(parents=True)
            for index in range(each):
                Image.fromarray(next(pictures)).save(root / part / label / f"{index}.png")
    return root


def rows(split: Split) -> set[tuple[bytes, int]]:
    return {(x.tobytes(), int(y)) for x, y in zip(split.images, split.labels, strict=True)}


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """Give 30 training and 6 test images as a NumPy file."""
    images, labels = noise(36), np.arange(36) % 3
    path = tmp_path / "x.npz"
    np.savez(path, x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:])
    return path


@pytest.mark.parametrize("parts", [("train", "test"), ("",)])
def test_a_folders_sample_is_of_its_training_split_in_every_form(
    parts: tuple[str, ...], tmp_path: Path
) -> None:
    root = fill(tmp_path / "zoo", parts)
    found = sample(root, [PLAIN, CROP, SWAPPED], 15, test_fraction=0.3)
    assert found.labels == CLASSES
    for contract, split in zip((PLAIN, CROP, SWAPPED), found.splits, strict=True):
        data = load_dataset(root, contract, test_fraction=0.3)
        assert len(rows(split)) == 15
        assert rows(split) <= rows(data.train)
        assert np.bincount(split.labels).tolist() == [5, 5, 5]
    plain, crop, swapped = (split.images for split in found.splits)
    np.testing.assert_array_equal(swapped, plain[..., ::-1])
    assert not np.array_equal(crop, plain)
    alone = sample(root, [CROP], 15, test_fraction=0.3).splits[0]
    assert alone.sha256 == found.splits[1].sha256


def test_only_the_samples_files_are_decoded_and_nothing_is_kept(tmp_path: Path) -> None:
    root = fill(tmp_path / "zoo", ("train", "test"))
    chosen = rows(sample(root, [PLAIN], 9).splits[0])
    for path in root.glob("*/*/*.png"):
        pixels = np.asarray(Image.open(path).resize((12, 12), Image.Resampling.BILINEAR))
        if pixels.tobytes() not in {image for image, _ in chosen}:
            path.write_bytes(b"broken")
    before = set(cache_folder().glob("*"))
    assert rows(sample(root, [PLAIN], 9).splits[0]) == chosen
    assert set(cache_folder().glob("*")) == before


def test_a_broken_image_of_the_sample_is_named_or_left_out(tmp_path: Path) -> None:
    root = fill(tmp_path / "zoo", ("train", "test"))
    for path in (root / "train/bee").glob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"3 of 9 images in .* are broken"):
        sample(root, [PLAIN, CROP], 9)
    found = sample(root, [PLAIN, CROP], 9, skip_broken=True)
    assert [split.labels.tolist().count(1) for split in found.splits] == [0, 0]
    assert [len(split) for split in found.splits] == [6, 6]


def test_a_files_sample_is_of_its_training_images(npz: Path) -> None:
    found = sample(npz, [PLAIN, CROP, SWAPPED], 9)
    for contract, split in zip((PLAIN, CROP, SWAPPED), found.splits, strict=True):
        assert len(rows(split)) == 9
        assert rows(split) <= rows(load_dataset(npz, contract).train)
        assert np.bincount(split.labels).tolist() == [3, 3, 3]
    assert len(sample(npz, [PLAIN], 1000).splits[0]) == 30


def test_drawn_shapes_are_of_neither_split() -> None:
    found = sample("synthetic", [PLAIN, SWAPPED], 20)
    data = load_dataset("synthetic", PLAIN)
    assert found.labels == data.labels
    assert not rows(found.splits[0]) & (rows(data.train) | rows(data.test))
    assert np.bincount(found.splits[0].labels).tolist() == [2] * 10
    np.testing.assert_array_equal(found.splits[1].images, found.splits[0].images[..., ::-1])
    swapped = load_dataset("synthetic", SWAPPED).test.images
    np.testing.assert_array_equal(swapped, data.test.images[..., ::-1])
