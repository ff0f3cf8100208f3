from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.data import Dataset, Split, balanced, by_content, load_dataset
from edgecnn.data._dataset import note_leak
from edgecnn.errors import DataError
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8)


def some(labels: list[int] | NDArray[np.int64], seed: int = 0) -> Split:
    shape = (len(labels), 4, 4, 3)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Split(images, np.array(labels, np.int64))


def test_the_digest_sees_every_pixel_label_and_the_shape() -> None:
    split = some([0, 1, 2, 1])
    images = split.images.copy()
    images[3, 3, 3, 2] ^= 1
    others = [
        Split(images, split.labels),
        some([0, 1, 2, 0]),
        Split(split.images.reshape(4, 2, 8, 3), split.labels),
        split.take(np.array([1, 0, 2, 3])),
        split.take(np.arange(3)),
    ]
    assert len({each.sha256 for each in (split, *others)}) == 6
    assert split.sha256 == Split(split.images.copy(), split.labels.copy()).sha256


@given(order=st.permutations(range(12)))
def test_the_order_by_content_forgets_the_order_of_the_files(order: list[int]) -> None:
    split = some([0, 1, 2] * 4)
    mixed = split.take(np.array(order))
    for a, b in ((split.take(by_content(split)), mixed.take(by_content(mixed))),):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_the_order_by_content_is_total_and_mixes_the_classes() -> None:
    split = some(np.repeat(np.arange(4), 50))
    order = by_content(split)
    assert sorted(order) == list(range(200))
    assert np.bincount(split.labels[order[:100]], minlength=4).min() > 10
    twins = Split(np.zeros((2, 4, 4, 3), np.uint8), np.array([1, 0]))
    assert by_content(twins).tolist() == [1, 0]


@example(labels=[0] * 30 + [1] * 5 + [2], count=9)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=40), count=st.integers(0, 50))
@settings(deadline=None)
def test_balanced_takes_as_equally_as_the_classes_allow(labels: list[int], count: int) -> None:
    split = some(labels)
    chosen = balanced(split, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(labels))
    have, taken = (np.bincount(x, minlength=4) for x in (split.labels, split.labels[chosen]))
    # A class may lag behind another by more than one image only if it has no more to give.
    assert (taken[taken < have] >= taken.max() - 1).all()
    place = {index: rank for rank, index in enumerate(by_content(split))}
    assert sorted(chosen, key=lambda index: place[index]) == chosen.tolist()


def test_a_data_set_describes_itself() -> None:
    data = Dataset("cats", "/data/cats", ("a", "b"), some([0, 1, 1]), some([1, 0], 1))
    found = replace(data, seed=3, labels_file="/l.txt", skip_broken=True).reference()
    assert (found.name, found.source, found.seed) == ("cats", "/data/cats", 3)
    assert (found.labels_file, found.skip_broken) == ("/l.txt", True)
    assert (found.train_images, found.test_images) == (3, 2)
    assert (found.train_sha256, found.test_sha256) == (data.train.sha256, data.test.sha256)


def test_leaked_images_are_counted() -> None:
    train, test = some([0, 1, 1]), some([1, 0], 1)
    assert note_leak(train, test) == ()
    leaky = Split(np.concatenate([test.images, train.images[2:]]), np.array([1, 0, 0]))
    assert note_leak(train, leaky)[0].startswith("1 of 3 test images are training images as well")


@pytest.mark.parametrize("source", ["syntetic", "no/such/folder", "", "cifar100"])
def test_unknown_data_name_the_choices(source: str) -> None:
    with pytest.raises(DataError, match=f"There is no data '{source}'") as error:
        load_dataset(source, CONTRACT)
    assert error.value.remedy == "Use cifar10, a folder of images, FILE.npz or synthetic."


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 20, float("nan")])
def test_a_test_fraction_leaves_images_on_both_sides(fraction: float) -> None:
    with pytest.raises(DataError, match="leaves one split empty"):
        load_dataset("synthetic", CONTRACT, test_fraction=fraction)


def test_a_name_goes_before_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    assert load_dataset("synthetic", CONTRACT).name == "synthetic"
    with pytest.raises(DataError, match="has no class folders"):
        load_dataset("./synthetic", CONTRACT)


@pytest.mark.parametrize("source", ["synthetic", "cifar10"])
def test_images_that_no_disk_holds_are_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pixels need [\d.]+ GB, and the disk of .* has"):
        load_dataset(source, InputContract(40_000, 40_000), data_dir=tmp_path)
