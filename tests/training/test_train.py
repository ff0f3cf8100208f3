from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle import WEIGHTS, open_bundle
from edgecnn.data import load_dataset
from edgecnn.errors import (
    BundleError,
    DataError,
    InputError,
    ModelError,
    RecipeError,
    UnavailableError,
)
from edgecnn.reports import read_report

torch = pytest.importorskip("torch")
training = pytest.importorskip("edgecnn.training")

EDGECNN = [sys.executable, "-c", "from edgecnn.cli import main; main()"]


class Stopped:
    """Stops a training run after some epoch, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, event: Any) -> None:
        if type(event).__name__ == "Epoch" and event.epoch == self.after:
            raise KeyboardInterrupt


def weights(folder: Path) -> bytes:
    return open_bundle(folder).read(WEIGHTS)


def run_cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGECNN, "train", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_bundle_and_its_report_come_out(make_recipe: Any, tmp_path: Path) -> None:
    output = tmp_path / "runs" / "mine"
    report = training.train(make_recipe(), output=output)
    bundle = open_bundle(output)
    assert bundle.manifest.contract.labels == ("dark", "grey", "light")
    assert bundle.manifest.data == report.data
    assert bundle.manifest.model == report.model
    assert set(bundle.files) == {WEIGHTS}
    assert not (tmp_path / "runs" / "mine.partial").exists()
    assert report.accuracy.estimate > 0.8
    assert report.accuracy.low < report.accuracy.estimate <= report.accuracy.high
    assert [entry.images for entry in report.classes] == [20, 20, 20]
    assert sum(e.correct for e in report.classes) == round(60 * report.accuracy.estimate)
    assert report.verdict is not None
    assert report.verdict.outcome == "pass"
    assert (report.training_images, report.holdout_images) == (220, 20)
    assert [point.epoch for point in report.curve] == [1, 2, 3, 4]
    assert report.curve[-1].loss < report.curve[0].loss
    assert 0 < report.training_cpu_seconds < report.cpu_seconds
    (written,) = (output / "reports").iterdir()
    kept = read_report(written)
    assert kept.kind == "train"
    assert kept.measured == {WEIGHTS: bundle.files[WEIGHTS].sha256}
    assert kept.body["accuracy"]["estimate"] == report.accuracy.estimate


def test_an_accuracy_that_is_not_reached_is_said(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe(shades="0.9999")
    Path(recipe).write_text(Path(recipe).read_text().replace("shades = 0.9999\n", "", 1))
    text = Path(recipe).read_text().replace("[accuracy]", "[accuracy]\nshades = 0.9999")
    Path(recipe).write_text(text)
    report = training.train(recipe, output=tmp_path / "own", epochs=1)
    assert report.verdict is not None
    assert report.verdict.outcome == "fail"
    assert "does not reach the 99.99 %" in report.verdict.reasons[0]


def test_another_process_gives_the_same_bits(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe()
    training.train(recipe, output=tmp_path / "here")
    done = run_cli(recipe, "--output", tmp_path / "there", "--json")
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "there") == weights(tmp_path / "here")
    assert json.loads(done.stdout)["kind"] == "train"
    training.train(recipe, output=tmp_path / "other", seed=1)
    assert weights(tmp_path / "other") != weights(tmp_path / "here")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_resumed_run_gives_the_same_bits(
    make_recipe: Any, tmp_path: Path, optimizer: str, after: int
) -> None:
    recipe = make_recipe(optimizer=f"'{optimizer}'")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    at_once = training.train(recipe, output=whole)
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, output=parted, tell=Stopped(after))
    assert not parted.exists()
    resumed = training.train(recipe, output=parted, resume=True)
    assert weights(parted) == weights(whole)
    assert resumed.resumed_after == after
    assert [point.loss for point in resumed.curve] == [point.loss for point in at_once.curve]
    assert not (tmp_path / "parted.partial").exists()


def test_ctrl_c_keeps_the_last_epoch(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe(epochs="60")
    parted = tmp_path / "parted"
    command = [*EDGECNN, "train", recipe, "--output", str(parted)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Epoch 2:"):
                os.kill(process.pid, signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "add --resume to the same command" in rest
    assert "Traceback" not in rest
    assert not parted.exists()
    resumed = training.train(recipe, output=parted, resume=True)
    assert 2 <= resumed.resumed_after < 60
    training.train(recipe, output=tmp_path / "whole")
    assert weights(parted) == weights(tmp_path / "whole")


def test_an_existing_bundle_is_refused_before_anything_else(
    make_recipe: Any, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(BundleError, match="already exists") as caught:
        training.train(make_recipe(), output=tmp_path / "own", data="no such data")
    for flag in ("--force", "--output", "--resume"):
        assert flag in caught.value.remedy


def test_force_replaces_a_bundle_and_nothing_else(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe()
    training.train(recipe, output=tmp_path / "own", epochs=1)
    before = weights(tmp_path / "own")
    training.train(recipe, output=tmp_path / "own", epochs=1, seed=1, force=True)
    assert weights(tmp_path / "own") != before
    with pytest.raises(BundleError, match="is no bundle, so --force will not touch it"):
        training.train(recipe, output=tmp_path, force=True, data="no such data")


def test_an_unfinished_run_is_not_overwritten(make_recipe: Any, tmp_path: Path) -> None:
    recipe, output = make_recipe(), tmp_path / "own"
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, output=output, tell=Stopped(1))
    with pytest.raises(BundleError, match="holds an unfinished run") as caught:
        training.train(recipe, output=output, data="no such data")
    assert "--resume" in caught.value.remedy
    assert "--force" in caught.value.remedy
    with pytest.raises(InputError, match=r"plan\.seed = 0, and now it is 7"):
        training.train(recipe, output=output, seed=7, resume=True)
    training.train(recipe, output=output, seed=7, force=True)
    assert not (tmp_path / "own.partial").exists()


def test_nothing_to_resume_is_said(make_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        training.train(make_recipe(), output=tmp_path / "own", resume=True)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty"])
def test_a_damaged_unfinished_run_is_refused(make_recipe: Any, tmp_path: Path, damage: str) -> None:
    recipe, output = make_recipe(), tmp_path / "own"
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, output=output, tell=Stopped(1))
    (kept,) = (tmp_path / "own.partial").iterdir()
    content = {"truncated": kept.read_bytes()[:900], "foreign": b"PK" * 50, "empty": b""}
    kept.write_bytes(content[damage])
    with pytest.raises(InputError, match="cannot be read") as caught:
        training.train(recipe, output=output, resume=True)
    assert "--force" in caught.value.remedy


def test_a_loss_that_is_no_number_stops_at_its_step(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe(optimizer="'sgd'", learning_rate="1e30")
    with pytest.raises(
        InputError, match=r"no longer a number in epoch 1, step \d+ of 13"
    ) as caught:
        training.train(recipe, output=tmp_path / "own")
    assert "--learning-rate 1e+29" in caught.value.remedy
    assert list(tmp_path.glob("own*")) == []


def test_weights_that_are_no_numbers_are_refused(make_recipe: Any, tmp_path: Path) -> None:
    recipe, net = make_recipe(), tmp_path / "my_net.py"
    text = net.read_text().replace(
        "self.drop =",
        "self.register_buffer('unused', torch.tensor(float('nan')))\n        self.drop =",
    )
    net.write_text(text)
    with pytest.raises(ModelError, match="hold NaN or infinity: unused"):
        training.train(recipe, output=tmp_path / "own", epochs=1)
    assert not (tmp_path / "own").exists()


def test_a_net_that_fails_in_training_is_one_sentence(make_recipe: Any, tmp_path: Path) -> None:
    recipe, net = make_recipe(), tmp_path / "my_net.py"
    text = net.read_text().replace(
        "x = torch.relu",
        "if len(x) == 16:\n            raise RuntimeError('no 16')\n        x = torch.relu",
    )
    net.write_text(text)
    with pytest.raises(ModelError, match=r"my_net\.py fails in epoch 1: no 16"):
        training.train(recipe, output=tmp_path / "own")


def test_the_holdout_is_the_last_by_content(shades: Path) -> None:
    from edgecnn.spec import InputContract
    from edgecnn.training.run import split_holdout

    split = load_dataset(shades, InputContract(8, 8)).train
    learned, held = (part.content_keys for part in split_holdout(split, 20))
    assert (len(learned), len(held)) == (220, 20)
    assert learned.max() < held.min()
    assert len(split_holdout(split, 1000)[1]) == 24
    assert len(split_holdout(split, 0)[1]) == 0


def test_pytorch_is_left_as_it_was(make_recipe: Any, tmp_path: Path) -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
            torch.utils.deterministic.fill_uninitialized_memory,
            torch.get_rng_state().tolist(),
        )

    before = state()
    training.train(make_recipe(), output=tmp_path / "own", epochs=1, threads=2)
    assert state() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_that_is_not_there_is_refused_before_the_data(
    make_recipe: Any, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="CUDA was asked for") as caught:
        training.train(make_recipe(), output=tmp_path / "own", device="cuda", data="no such data")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "own").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cuda_repeats_itself(make_recipe: Any, tmp_path: Path) -> None:
    recipe = make_recipe()
    for name in ("one", "two"):
        report = training.train(recipe, output=tmp_path / name, device="cuda")
        assert report.accuracy.estimate > 0.8
    assert weights(tmp_path / "one") == weights(tmp_path / "two")


def test_a_torchvision_model_trains(shades: Path, tmp_path: Path) -> None:
    report = training.train(
        model="torchvision:mobilenet_v3_small",
        model_arguments={"dropout": 0.1},
        data=shades,
        input_size=(8, 8),
        epochs=1,
        threads=1,
        output=tmp_path / "own",
    )
    assert report.recipe == "mobilenet_v3_small"
    assert report.model.arguments == {"num_classes": 3, "dropout": 0.1}
    net = training.rebuild(open_bundle(tmp_path / "own"))
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "kind", "problem"),
    [
        ({"input_size": (1, 1)}, RecipeError, "shift = 1 would move a picture"),
        ({"epochs": 0}, RecipeError, "epochs = 0 cannot be trained with"),
        ({"learning_rate": float("nan")}, RecipeError, "learning_rate = nan"),
        ({"mean": (0.5,)}, InputError, "mean has 1 value,"),
        ({"data": "no such data"}, DataError, "no such data"),
        ({"model": "nonet"}, ModelError, "There is no model 'nonet'"),
        ({"device": "tpu"}, InputError, "There is no device 'tpu'"),
    ],
)
def test_what_cannot_be_is_refused(
    make_recipe: Any, tmp_path: Path, options: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    with pytest.raises(kind, match=problem):
        training.train(make_recipe(), output=tmp_path / "own", **options)
    assert list(tmp_path.glob("own*")) == []


def test_one_class_is_refused(make_recipe: Any, tmp_path: Path) -> None:
    pictures, labels = np.zeros((20, 8, 8, 3), np.uint8), np.zeros(20, np.int64)
    data = tmp_path / "one.npz"
    np.savez(data, x_train=pictures, y_train=labels, x_test=pictures, y_test=labels)
    with pytest.raises(DataError, match="has the one class"):
        training.train(make_recipe(), data=data, output=tmp_path / "own")


def test_grey_pictures_take_the_average_of_three_colours_and_say_so(
    make_recipe: Any, tmp_path: Path
) -> None:
    told: list[object] = []
    training.train(make_recipe(), color="gray", output=tmp_path / "own", tell=told.append)
    contract = open_bundle(tmp_path / "own").manifest.contract
    assert (contract.color, len(contract.mean), len(contract.std)) == ("gray", 1, 1)
    assert any("gray pictures: mean" in getattr(event, "text", "") for event in told)
    shares = [event.share for event in told if type(event).__name__ == "Reading"]  # type: ignore[attr-defined]
    assert shares[-1] == 1


def test_a_place_that_cannot_be_written_is_found_first(make_recipe: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        training.train(make_recipe(), output=tmp_path / "file" / "own", data="no such data")
