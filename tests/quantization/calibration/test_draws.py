"""Which images calibrate and select: apart, balanced, and never those of the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data import Dataset, Split, by_content
from edgecnn.errors import DataError, InputError
from edgecnn.quantization.calibration.draws import Draw, draw, refuse_unreal
from edgecnn.spec import DataRef
from tests.conftest import CLASSES, MakeBundle


def split(count: int, seed: int) -> Split:
    """Give images that differ, of four classes."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), np.uint8)
    return Split(images, np.arange(count) % 4)


def dataset(train: Split, test: Split | None = None, source: str = "/nowhere/some.npz") -> Dataset:
    return Dataset("some", source, CLASSES, train, test or split(50, 9))


def keys(data: Dataset, indices: NDArray[np.int64]) -> set[int]:
    return {int(key) for key in data.train.content_keys[indices]}


def classes(data: Dataset, indices: NDArray[np.int64]) -> list[int]:
    return [int((data.train.labels[indices] == label).sum()) for label in range(4)]


def sizes(drawn: Draw) -> tuple[int, int]:
    return len(drawn.calibration), len(drawn.selection)


def test_parts_are_disjoint_and_balanced() -> None:
    data = dataset(split(4000, 1))
    drawn = draw(data, 402, 800)
    assert not keys(data, drawn.calibration) & keys(data, drawn.selection)
    assert sorted(classes(data, drawn.calibration)) == [100, 100, 101, 101]
    assert classes(data, drawn.selection) == [200, 200, 200, 200]


def test_an_uneven_split_is_drawn_as_evenly_as_it_can_be() -> None:
    train = split(1200, 2)
    labels = np.where(np.arange(1200) < 60, 1, 0)
    drawn = draw(dataset(Split(train.images, labels)), 100, 100)
    assert np.bincount(labels[drawn.calibration]).tolist() == [50, 50]
    assert np.bincount(labels[drawn.selection])[0] >= 90


def test_the_order_of_the_files_does_not_matter() -> None:
    train = split(2000, 3)
    turned = train.take(np.random.default_rng(0).permutation(2000))
    for resample in (0, 3):
        one, other = (draw(dataset(each), 64, 128, resample=resample) for each in (train, turned))
        for part in ("calibration", "selection"):
            first, second = getattr(one, part), getattr(other, part)
            assert train.content_keys[first].tolist() == turned.content_keys[second].tolist()


def test_what_training_keeps_back_is_left_alone() -> None:
    data = dataset(split(2000, 4))
    holdout = keys(data, by_content(data.train)[-200:])
    drawn = [draw(data, 512, 512, resample=number) for number in range(4)]
    for each in drawn:
        assert not holdout & (keys(data, each.calibration) | keys(data, each.selection))
    # A split that is too small for that gives all it has.
    assert sizes(draw(data, 1000, 1000)) == (1000, 1000)


def test_no_test_image_and_no_image_twice() -> None:
    train, test = split(300, 5), split(40, 6)
    images = np.concatenate([train.images, test.images, train.images[:100]])
    labels = np.concatenate([train.labels, test.labels, (train.labels[:100] + 1) % 4])
    data = dataset(Split(images, labels), test)
    drawn = draw(data, 150, 150)
    used = [*drawn.calibration, *drawn.selection]
    assert len(keys(data, np.array(used))) == 300
    assert not np.isin(data.train.content_keys[used], test.content_keys).any()
    with pytest.raises(InputError, match="has 300 training images to calibrate"):
        draw(data, 151, 150)


def test_other_draws_are_others_and_select_on_the_same() -> None:
    data = dataset(split(1000, 7))
    drawn = [draw(data, 200, 100, resample=number) for number in range(5)]
    own = [keys(data, each.calibration) for each in drawn]
    assert len(own[0] | own[1] | own[2]) == 600
    # With the fifth every class has run out, and begins anew.
    assert len(own[0] | own[1] | own[2] | own[3] | own[4]) == 800
    for each in drawn:
        assert each.selection.tolist() == drawn[0].selection.tolist()
        assert classes(data, each.calibration) == [50] * 4
        assert not keys(data, each.calibration) & keys(data, each.selection)


@pytest.mark.parametrize(
    ("images", "asked", "expected"),
    [
        (3000, (None, None), (512, 1024)),
        (1000, (None, None), (500, 500)),
        (1200, (None, None), (512, 688)),
        (7, (None, None), (4, 3)),
        (80, (60, None), (60, 20)),
        (80, (None, 60), (20, 60)),
        (80, (80, 0), (80, 0)),
    ],
)
def test_sizes(
    images: int, asked: tuple[int | None, int | None], expected: tuple[int, int]
) -> None:
    assert sizes(draw(dataset(split(images, 8)), *asked)) == expected


@pytest.mark.parametrize(
    ("images", "asked", "problem"),
    [
        (80, (81, 0), "has 80 training images .* fewer than 81"),
        (
            80,
            (80, None),
            "fewer than 81.*--calibration-samples 40 --selection-samples 40",
        ),
        (80, (1000, 1024), "has 80 .* fewer than 2,024"),
        (1, (None, None), "has 1 .* fewer than 2.*Name other data"),
        (0, (None, None), "has 0 .* fewer than 2"),
        (80, (0, None), "0 images calibrate nothing"),
        (80, (5, -1), "-1 images cannot be selected on"),
    ],
)
def test_too_few_images_are_refused(
    images: int, asked: tuple[int | None, int | None], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        draw(dataset(split(images, 8)), *asked)


def test_drawn_shapes_calibrate_only_what_was_made_for_them(make_bundle: MakeBundle) -> None:
    smooth = Split(np.ones((8, 4, 4, 1), np.uint8).cumsum(2, np.uint8), np.arange(8) % 4)
    shapes = dataset(smooth, source="synthetic")
    bundle = make_bundle(variants=())
    with pytest.raises(DataError, match=r"drawn shapes are not what .* was made for"):
        refuse_unreal(bundle, shapes)
    refuse_unreal(bundle, dataset(smooth))
    own = bundle.manifest.data
    assert isinstance(own, DataRef)
    made_of_shapes = make_bundle("shapes", variants=(), data=replace(own, source="synthetic"))
    refuse_unreal(made_of_shapes, shapes)


def test_noise_calibrates_nothing(make_bundle: MakeBundle) -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (64, 8, 8, 3), np.uint8)
    labels = np.arange(64) % 4
    bundle = make_bundle(variants=())
    with pytest.raises(DataError, match=r"random noise: .* a correlation of"):
        refuse_unreal(bundle, dataset(Split(noise, labels)))
    noisy = (noise // 3 + 20 * np.arange(8, dtype=np.uint8)[None, None, :, None]).astype(np.uint8)
    refuse_unreal(bundle, dataset(Split(noisy, labels)))
    refuse_unreal(bundle, dataset(Split(np.zeros_like(noise), labels)))
