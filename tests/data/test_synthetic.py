from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data import Dataset, load_dataset, synthetic
from edgecnn.disk import cache_folder
from edgecnn.spec import InputContract

RGB = InputContract(32, 32)
TINY = InputContract(6, 7, "gray", mean=(0,), std=(1,))


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return load_dataset("synthetic", RGB)


def test_the_shapes_are_what_the_recipes_expect(shapes: Dataset) -> None:
    assert shapes.name == shapes.source == "synthetic"
    assert shapes.train.images.shape == (20_000, 32, 32, 3)
    assert shapes.test.images.shape == (4_000, 32, 32, 3)
    assert len(shapes.labels) == 10
    assert np.bincount(shapes.train.labels).tolist() == [2_000] * 10
    assert np.bincount(shapes.test.labels).tolist() == [400] * 10
    assert not np.isin(shapes.test.content_keys, shapes.train.content_keys).any()


def test_the_bytes_are_the_same_on_every_machine(shapes: Dataset) -> None:
    """These digests change only together with the version in the file, and then on purpose."""
    assert synthetic._VERSION == 1
    assert shapes.train.sha256 == (
        "5a227429e5c66cde9271bfa968013bbed03d698c4008ac5b1638c5ac3d1b5a69"
    )
    gray = synthetic.render(TINY, 3, part=1, count=50)
    assert gray.sha256 == ("427ed8b7734a256322ac10a78b25b1fc2e39844c0ce4b066fd161cabe0b6824c")


def test_seed_and_part_decide_everything() -> None:
    def digest(seed: int, part: int) -> str:
        return synthetic.render(RGB, seed, part=part, count=40).sha256

    assert digest(0, 0) == digest(0, 0)
    assert len({digest(0, 0), digest(0, 1), digest(1, 0), digest(1, 1)}) == 4


def test_rendering_takes_under_five_seconds_of_one_core() -> None:
    start = time.process_time()
    synthetic.render(RGB, 1, part=0, count=2_400)
    assert 10 * (time.process_time() - start) < 5


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    color=st.sampled_from(["rgb", "gray"]),
    count=st.integers(1, 25),
)
@settings(deadline=None, max_examples=30)
def test_any_size_and_colour_can_be_rendered(
    height: int, width: int, color: Literal["rgb", "gray"], count: int
) -> None:
    channels = 3 if color == "rgb" else 1
    contract = InputContract(height, width, color, mean=(0,) * channels, std=(1,) * channels)
    split = synthetic.render(contract, 0, part=0, count=count)
    assert split.images.shape == (count, height, width, channels)
    classes = np.bincount(split.labels, minlength=10)
    assert classes.max() - classes.min() <= 1


def test_random_numbers_fill_their_bounds() -> None:
    random = synthetic._Random(0)
    drawn = random.uniform((2.0, 3.0), 100, 100)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose([drawn.min(), drawn.mean(), drawn.max()], [2, 2.5, 3], atol=0.01)
    noise = random.noise(100, 999)
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 1], atol=0.01)
    for x, y in (random.direction(1000), random.turn(1000)):
        np.testing.assert_allclose(x * x + y * y, 1, atol=1e-5)


def test_the_shape_moves_through_the_whole_picture(shapes: Dataset) -> None:
    """A square differs from its ground; on average that difference has its middle in the middle."""
    squares = shapes.train.images[shapes.train.labels == shapes.labels.index("square")]
    pixels = squares.astype(np.float64)
    ground = np.median(np.concatenate([pixels[:, 0], pixels[:, -1]], axis=1), axis=1)
    differs = np.abs(pixels - ground[:, None, None]).mean(axis=(0, 3))
    rows, columns = differs.sum(axis=1), differs.sum(axis=0)
    for share in (rows / rows.sum(), columns / columns.sum()):
        assert abs((share * np.arange(32)).sum() - 15.5) < 0.5
        assert share.argmax() in range(13, 19)


def cache_file(contract: InputContract, seed: int = 0) -> Path:
    height, width, _ = contract.pixel_shape
    return cache_folder() / f"synthetic-{height}x{width}-{contract.color}-seed{seed}.npz"


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgecnn"


@pytest.mark.usefixtures("fresh_cache")
def test_the_cache_gives_the_same_images() -> None:
    first = load_dataset("synthetic", TINY, seed=5)
    assert cache_file(TINY, 5).is_file()
    start = time.process_time()
    second = load_dataset("synthetic", TINY, seed=5)
    assert time.process_time() - start < 0.5
    assert first.notes == second.notes == ()
    assert first.reference() == second.reference()
    second.train.images[:] = 0  # what is loaded may be written to, as what was rendered


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("damage", ["empty", "half", "text", "other", "flip"])
def test_a_damaged_cache_is_made_anew_and_noted(damage: str) -> None:
    first, path = load_dataset("synthetic", TINY), cache_file(TINY)
    content = path.read_bytes()
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 16]) + content[half + 1 :]
    damaged = {"empty": b"", "half": content[:half], "text": b"hello", "flip": flipped}
    path.write_bytes(damaged.get(damage, content))
    if damage == "other":
        np.savez(path, x_train=np.zeros(3))
    second = load_dataset("synthetic", TINY)
    if damage != "other":  # a sound file that lacks the key is simply an old one
        assert second.notes == (f"The cache file {path} was damaged and is made anew.",)
    assert second.train.sha256 == first.train.sha256
    assert load_dataset("synthetic", TINY).notes == ()


@pytest.mark.usefixtures("fresh_cache")
def test_a_cache_of_another_version_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "_VERSION", 0)
        old = load_dataset("synthetic", TINY)
    assert load_dataset("synthetic", TINY).train.sha256 != old.train.sha256
    assert [path.name for path in cache_file(TINY).parent.iterdir()] == [cache_file(TINY).name]


def test_a_cache_that_cannot_be_written_is_noted(fresh_cache: Path) -> None:
    fresh_cache.write_text("a file where the folder should be")
    data = load_dataset("synthetic", TINY)
    assert "could not be written and nothing is kept" in data.notes[0]
    assert len(data.train) == 20_000


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/edgecnn")
