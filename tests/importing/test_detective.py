from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.errors import DataError, ModelError
from edgecnn.feeding import normalise
from edgecnn.importing import detective
from edgecnn.importing.contract import Choice, as_choice, decide, merged
from edgecnn.importing.detective import Detection, Trial, detect
from edgecnn.importing.mistakes import distinct, suspects
from edgecnn.records import from_builtins, to_builtins
from edgecnn.spec import InputContract

CLASSES = ("brick", "grass", "sand", "sea", "sky")
# Colours that BGR, another range or other pixels at the sides would take for another class.
COLOURS = np.array([[190, 70, 60], [70, 160, 60], [200, 180, 110], [40, 80, 150], [110, 150, 200]])
TRUTH = InputContract(
    8, 8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize="crop 8", labels=CLASSES
)
CAFFE = replace(TRUTH, color="bgr", scale=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
SIGNED = replace(TRUTH, mean=(0.5,) * 3, std=(0.5,) * 3)

Score = Callable[[InputContract, NDArray[np.uint8]], NDArray[Any]]


def net_for(truth: InputContract) -> Score:
    """Give a net that knows the classes by their mean colour, as pixels become under `truth`."""
    solid = np.broadcast_to(COLOURS.astype(np.uint8)[:, None, None, :], (5, 8, 8, 3))
    if truth.color == "bgr":
        solid = solid[..., ::-1]
    centres = normalise(truth, np.ascontiguousarray(solid)).mean(axis=(2, 3))

    def score(contract: InputContract, images: NDArray[np.uint8]) -> NDArray[Any]:
        means = normalise(contract, images).mean(axis=(2, 3))
        distances: NDArray[Any] = ((means[:, None] - centres[None]) ** 2).sum(axis=2)
        return -distances

    return score


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give 600 wide pictures whose class shows in their middle alone."""
    random = np.random.default_rng(5)
    labels = np.arange(600) % 5
    sides = COLOURS[random.integers(0, 5, 600)][:, None, None, :]
    images = sides + random.normal(0, 40, (600, 16, 32, 3))
    middle = COLOURS[labels][:, None, None, :] + random.normal(0, 12, (600, 1, 1, 3))
    images[:, :, 8:24] = middle + random.normal(0, 40, (600, 16, 16, 3))
    pixels = np.clip(images, 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("wide") / "wide.npz"
    np.savez(
        path,
        x_train=pixels[:550],
        y_train=labels[:550],
        x_test=pixels[550:],
        y_test=labels[550:],
        labels=np.array(CLASSES),
    )
    return path


def all_better(found: Detection) -> tuple[Trial, ...]:
    assert found.best is not None
    return tuple(each for each in found.trials if each.name in {found.best.name, *found.rivals})


MISTAKES = {
    "BGR": (TRUTH, replace(TRUTH, color="bgr", mean=TRUTH.mean[::-1], std=TRUTH.std[::-1])),
    "0..255": (TRUTH, replace(TRUTH, scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)),
    "0..1": (TRUTH, replace(TRUTH, mean=(0.0,) * 3, std=(1.0,) * 3)),
    "-1..1 for 0..1": (replace(TRUTH, mean=(0.0,) * 3, std=(1.0,) * 3), SIGNED),
    "0..1 for -1..1": (SIGNED, replace(TRUTH, mean=(0.0,) * 3, std=(1.0,) * 3)),
    "ImageNet for 0..255": (replace(TRUTH, scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3), TRUTH),
    "ImageNet for Caffe": (CAFFE, TRUTH),
    "stretched": (TRUTH, replace(TRUTH, resize="stretch")),
    "letterboxed": (TRUTH, replace(TRUTH, resize="letterbox")),
    "no std": (TRUTH, replace(TRUTH, std=(1.0,) * 3)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found_and_its_flags_undo_it(mistake: str, wide: Path) -> None:
    truth, wrong = MISTAKES[mistake]
    found = detect(net_for(truth), wrong, wide)
    assert found.outcome == "better", found.sentence
    assert found.best is not None
    assert found.best.gain.low > 0
    assert found.best.correct > found.correct
    assert any(not distinct(truth, [_suspect(each)]) for each in all_better(found))
    assert found.best.flags in found.sentence
    again = detect(net_for(truth), found.best.contract, wide)
    assert again.outcome == "fits", again.sentence


def test_of_contracts_that_the_images_do_not_tell_apart_the_simplest_is_named(wide: Path) -> None:
    net = net_for(SIGNED)

    def nearly_blind_to_colour(contract: InputContract, images: NDArray[np.uint8]) -> NDArray[Any]:
        rgb = images if contract.color == "rgb" else turned(images)
        scores = net(replace(contract, color="rgb"), rgb)
        if contract.color == "rgb":
            scores[:2] = 0
        return scores

    wrong = replace(SIGNED, mean=(0.0,) * 3, std=(1.0,) * 3)
    found = detect(nearly_blind_to_colour, wrong, wide)
    assert found.best is not None
    assert found.best.name == "values from -1 to 1"
    assert "BGR, values from -1 to 1" in found.rivals
    assert found.trials[0].correct > found.best.correct


def test_another_input_size_is_found_where_the_net_takes_it(wide: Path) -> None:
    """A net that was trained at 32x32 sees shapes of another width elsewhere."""
    truth = replace(TRUTH, height=32, width=32, resize="crop 32")
    net, seen = net_for(TRUTH), []

    def score(contract: InputContract, images: NDArray[np.uint8]) -> NDArray[Any]:
        if contract.height == 28:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        seen.append(contract.height)
        scores = net(contract, images)
        return scores if contract.height == 32 else scores[:, ::-1]

    wrong = replace(truth, height=64, width=64, resize="crop 64")
    found = detect(score, wrong, wide, other_sizes=True, count=200)
    assert found.best is not None, found.sentence
    assert (found.best.name, found.best.flags) == (
        "32x32 pixels",
        "--input-size 32x32 --resize crop:32",
    )
    assert 28 not in seen
    assert max(seen) <= 90
    alone = detect(score, wrong, wide, count=200)
    assert alone.best is None, alone.sentence


def turned(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images[..., ::-1])


def _suspect(trial: Trial) -> Any:
    from edgecnn.importing.mistakes import Suspect

    return Suspect(trial.name, trial.contract)


@pytest.mark.parametrize("truth", [TRUTH, CAFFE, SIGNED])
def test_a_contract_that_fits_is_left_in_peace(truth: InputContract, wide: Path) -> None:
    found = detect(net_for(truth), truth, wide)
    assert (found.outcome, found.best, found.rivals) == ("fits", None, ())
    assert found.images == 512
    assert found.accuracy.low > 0.8
    assert "with none of" in found.sentence
    assert all(trial.gain.low <= 0 for trial in found.trials)
    wanted = 1 - 0.05 / len(found.trials)  # Bonferroni's
    assert {trial.gain.confidence for trial in found.trials} == {wanted}


def test_what_is_clearly_worse_is_not_tried_on_all(wide: Path) -> None:
    seen = 0

    def counting(contract: InputContract, images: NDArray[np.uint8]) -> NDArray[Any]:
        nonlocal seen
        seen += len(images)
        return net_for(TRUTH)(contract, images)

    found = detect(counting, TRUTH, wide)
    worse = [trial for trial in found.trials if trial.images == 128]
    assert len(worse) > 5
    assert seen == found.images + sum(trial.images for trial in found.trials)


@pytest.mark.parametrize("trial", range(4))
def test_chance_alone_proves_nothing(trial: int, wide: Path) -> None:
    random = np.random.default_rng(trial)

    def guess(contract: InputContract, images: NDArray[np.uint8]) -> NDArray[Any]:
        return random.normal(size=(len(images), 5))

    found = detect(guess, TRUTH, wide)
    assert found.outcome == "inconclusive"
    assert "no more than guessing would" in found.sentence
    assert "another order" not in found.sentence


def test_labels_in_another_order_are_told(wide: Path) -> None:
    order = ("sky", "brick", "sea", "grass", "sand")
    found = detect(net_for(TRUTH), replace(TRUTH, labels=order), wide)
    assert found.outcome == "inconclusive"
    assert "with its classes in another order 100.0 % are right" in found.sentence


def test_a_few_images_prove_nothing(wide: Path) -> None:
    found = detect(net_for(TRUTH), TRUTH, wide, count=40)
    assert found.outcome == "inconclusive"
    assert found.sentence.startswith("40 images are too few")


def test_of_large_images_fewer_are_looked_at(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detective, "_ROOM", 300 * 6 * 8 * 8 * 3)
    found = detect(net_for(TRUTH), TRUTH, wide)
    assert 128 <= found.images < 512


def test_a_sizing_that_changes_no_pixel_is_not_tried(tmp_path: Path) -> None:
    images, labels = np.zeros((40, 8, 8, 3), np.uint8), np.arange(40) % 5
    images[...] = COLOURS[labels].astype(np.uint8)[:, None, None]
    path = tmp_path / "small.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    names = {t.name for t in detect(net_for(TRUTH), TRUTH, path).trials}
    assert "BGR" in names
    assert not names & {"stretched", "letterboxed", "bicubic filter"}


def test_classes_that_the_net_does_not_know_are_refused(wide: Path) -> None:
    with pytest.raises(DataError, match="has the class 'sand', which the net's labels"):
        detect(net_for(TRUTH), replace(TRUTH, labels=("brick", "grass", "sea", "sky")), wide)


def test_scores_of_another_shape_and_nan_count_as_wrong(wide: Path) -> None:
    with pytest.raises(ModelError, match=r"shape \[512, 3\], which is no row of 5 scores"):
        detect(lambda contract, images: np.zeros((len(images), 3)), TRUTH, wide)
    found = detect(lambda contract, images: np.full((len(images), 5, 1, 1), np.nan), TRUTH, wide)
    assert (found.outcome, found.correct) == ("inconclusive", 0)


def test_progress_ends_below_one_and_grows(wide: Path) -> None:
    shares: list[float] = []
    detect(net_for(TRUTH), TRUTH, wide, count=64, progress=lambda what, share: shares.append(share))
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def test_it_goes_into_json_and_back(wide: Path) -> None:
    found = detect(net_for(TRUTH), SIGNED, wide)
    assert from_builtins(Detection, to_builtins(found), where="test") == found


def test_grey_contracts_have_their_own_suspects() -> None:
    gray = InputContract(28, 28, "gray", mean=(0.0,), std=(1.0,), resize="crop 32")
    found = suspects(gray)
    assert "MNIST's mean and std" in {suspect.name for suspect in found}
    assert {suspect.contract.color for suspect in found} == {"gray"}


@pytest.mark.parametrize("contract", [TRUTH, CAFFE, SIGNED, replace(TRUTH, resize="letterbox")])
def test_the_flags_of_a_suspect_select_it(contract: InputContract) -> None:
    from edgecnn.importing.contract import difference

    for suspect in suspects(contract):
        chosen = merged(difference(contract, suspect.contract), as_choice(contract))
        assert decide(chosen).contract == suspect.contract
        assert difference(contract, suspect.contract) != Choice()
