from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data import Dataset, load_dataset
from edgecnn.data import _storage as storage
from edgecnn.disk import cache_folder
from edgecnn.errors import DataError
from edgecnn.spec import InputContract

SMALL, WIDE = InputContract(20, 16), InputContract(640, 640)
GRAY = replace(SMALL, color="gray", mean=(0.0,), std=(1.0,))

MapFrom = Callable[[int], None]


@pytest.fixture
def map_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MapFrom:
    """Give a function that sets from which size on images lie in mapped files; an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda size: monkeypatch.setattr(storage, "LARGE", size)


def fill(root: Path, parts: tuple[str, ...], each: int = 6) -> Path:
    random = np.random.default_rng(3)
    for part in parts:
        for label in ("cat", "dog"):
            (root / part / label).mkdir(parents=True)
            for index in range(each):
                pixels = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{index}.png")
    return root


def digests(data: Dataset) -> tuple[str, str]:
    return data.train.sha256, data.test.sha256


def mapped(data: Dataset) -> bool:
    bases = []
    array: object = data.train.images
    while isinstance(array, np.ndarray):
        bases.append(array)
        array = array.base
    return any(isinstance(base, np.memmap) for base in bases)


@pytest.mark.parametrize("parts", [("train", "test"), ("",)])
@pytest.mark.parametrize("contract", [SMALL, replace(SMALL, color="bgr"), GRAY])
def test_images_in_a_mapped_file_are_the_same(
    parts: tuple[str, ...], contract: InputContract, map_from: MapFrom, tmp_path: Path
) -> None:
    root = fill(tmp_path / "pets", parts)
    (root / parts[0] / "cat" / "broken.png").write_bytes(b"\x89PNG")
    cache = cache_folder()
    found: list[Dataset] = []
    told: list[str] = []

    def tell(what: str, share: float) -> None:
        told.append(what)

    for size in (1 << 30, 100, 100):  # in memory; decoded into a file; mapped from the cache
        map_from(size)
        if len(found) == 1:
            next(cache.iterdir()).unlink()
        before = len(told)
        found.append(load_dataset(root, contract, skip_broken=True, progress=tell))
        assert (len(told) > before) == (len(found) < 3)
        assert len(list(cache.iterdir())) == 1
    assert [mapped(data) for data in found] == [False, True, True]
    assert len(set(map(digests, found))) == 1
    taken = [data.train.take(np.array([5, 0, 3])) for data in found]
    assert taken[0].sha256 == taken[1].sha256 == taken[2].sha256


def test_memory_does_not_hold_what_is_mapped(map_from: MapFrom, tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", ("",), each=40)
    map_from(1 << 20)
    tracemalloc.start()
    try:
        data = load_dataset(root, WIDE)
        assert len(digests(data)) == 2
        data = load_dataset(root, WIDE)
        assert digests(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pixels = data.train.images.nbytes + data.test.images.nbytes
    assert pixels > 98e6
    assert peak < 50e6


def test_a_damaged_cache_file_is_made_anew(map_from: MapFrom, tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", ("",))
    map_from(100)
    before = digests(load_dataset(root, SMALL))
    (path,) = cache_folder().iterdir()
    content = bytearray(path.read_bytes())
    content[2000] ^= 4
    path.write_bytes(content)
    data = load_dataset(root, SMALL)
    assert data.notes == (f"The cache file {path} was damaged and is made anew.",)
    assert digests(data) == before


def test_arrays_of_a_file_are_resized_into_a_mapped_file(map_from: MapFrom, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (30, 8, 9, 3), dtype=np.uint8), np.arange(30) % 3
    path = tmp_path / "x.npz"
    np.savez(path, x_train=images[:20], y_train=labels[:20], x_test=images[20:], y_test=labels[20:])
    found, shares = [], []
    for size in (1 << 30, 100):
        map_from(size)
        found.append(load_dataset(path, SMALL, progress=lambda text, share: shares.append(share)))
    assert [mapped(data) for data in found] == [False, True]
    assert digests(found[0]) == digests(found[1])
    assert max(shares) == 1


@pytest.mark.parametrize("size", [100, 1 << 30])
def test_neighbours_are_not_copied(size: int, map_from: MapFrom) -> None:
    map_from(size)
    images = storage.allocate(50, SMALL.pixel_shape)
    images[:] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    part = storage.pick(images, np.arange(10, 40))
    assert np.shares_memory(part, images)
    np.testing.assert_array_equal(part, images[10:40])
    mixed = storage.pick(images, np.array([4, 2, 49]))
    assert not np.shares_memory(mixed, images)
    np.testing.assert_array_equal(mixed, images[[4, 2, 49]])
    assert len(storage.pick(images, np.array([], np.int64))) == 0


def test_a_cache_folder_that_cannot_be_written_is_named(map_from: MapFrom, tmp_path: Path) -> None:
    map_from(100)
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(DataError, match="50 images cannot be kept in") as error:
        storage.allocate(50, SMALL.pixel_shape)
    assert "XDG_CACHE_HOME" in error.value.remedy
