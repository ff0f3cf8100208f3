from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.golden import make_npz

if TYPE_CHECKING:
    from tests.conftest import TypeCommand

pytest.importorskip("torch")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, and give data beside it: dark and light, 120 to train, 40 to test."""
    random = np.random.default_rng(9)
    arrays: dict[str, Any] = {"labels": np.array(["dark", "light"])}
    for split, count in (("train", 120), ("test", 40)):
        labels = np.arange(count, dtype=np.int64) % 2
        noise = random.integers(0, 100, (count, 32, 32, 3))
        arrays[f"x_{split}"] = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{split}"] = labels
    path = tmp_path / "shades.npz"
    path.write_bytes(make_npz(arrays))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return path


def test_what_is_learned_comes_first_and_what_to_do_next_last(
    pictures: Path, type_command: TypeCommand
) -> None:
    done = type_command("train", "--data", pictures, "--batch-size", 20, "--epochs", 3)
    assert done.code == 0
    out, err = done.out, done.err
    assert err.startswith(
        "Learning 2 classes of shades 32x32 colour pictures (120 to train, 40 to test) "
        "with lenet (61,326 parameters).\n"
    )
    assert "3 epochs on " in err
    assert "Epoch 3: loss " in err
    assert "holdout " in err
    lines = out.splitlines()
    assert lines[-4].startswith("Accuracy on 40 test images: 100.00 % (95 % interval 91.2")
    assert lines[-3:] == [
        "Bundle: runs/lenet",
        "Next: edgecnn export --quantize",
        "See it all: edgecnn report runs/lenet --open",
    ]
    assert {line.split()[0] for line in lines if line.strip()} >= {"dark", "light"}
    assert [path.name for path in Path("runs").iterdir()] == ["lenet"]


def test_json_is_one_document_and_nothing_else(pictures: Path, type_command: TypeCommand) -> None:
    options = ("--batch-size", 20, "--epochs", 1, "--output", "made here", "--json")
    done = type_command("train", "lenet", "--data", pictures, *options)
    assert done.code == 0
    report = json.loads(done.out)
    assert report["body"]["bundle"] == "made here"
    assert report["body"]["plan"]["batch_size"] == 20
    assert "weights.safetensors" in report["measured"]


def test_a_bundle_elsewhere_is_named_in_what_to_do_next(
    pictures: Path, type_command: TypeCommand
) -> None:
    done = type_command("train", "--data", pictures, "--epochs", 1, "--output", "made here")
    assert done.code == 0
    assert "\nNext: edgecnn export 'made here' --quantize\n" in done.out
    assert done.out.endswith("See it all: edgecnn report 'made here' --open\n")


def test_an_accuracy_that_is_not_reached_is_said_on_stderr(
    pictures: Path, type_command: TypeCommand
) -> None:
    recipe = Path("hard.toml")
    size = "height = 32\nwidth = 32"
    recipe.write_text(
        f"title = 'x'\n[model]\nsource = 'lenet'\n[input]\n{size}\n"
        "[train]\nepochs = 1\nlearning_rate = 1e-9\nbatch_size = 20\n[accuracy]\nshades = 0.999\n"
    )
    done = type_command("train", recipe, "--data", pictures)
    assert done.code == 0
    out, err = done.out, done.err
    assert "does not reach the 99.9 % that the recipe requires" in err
    assert "requires" not in out
    assert "Bundle: runs/hard" in out


def test_the_tutorials_losses_are_printed_as_it_does(
    pictures: Path, type_command: TypeCommand
) -> None:
    recipe = Path("talking.toml")
    recipe.write_text(
        "title = 'x'\n[model]\nsource = 'lenet'\n[input]\nheight = 32\nwidth = 32\n"
        "[train]\nepochs = 1\nbatch_size = 4\nlearning_rate = 0.001\nholdout = 0\n"
        "report_every = 10\n"
    )
    done = type_command("train", recipe, "--data", pictures)
    assert done.code == 0
    lines = [line for line in done.err.splitlines() if line.startswith("[")]
    assert [line.split("]")[0] for line in lines] == ["[1,    10", "[1,    20", "[1,    30"]
    assert all(line.partition("] loss: ")[2].count(".") == 1 for line in lines)


def test_a_model_of_ones_own_names_the_bundle(pictures: Path, type_command: TypeCommand) -> None:
    Path("my_net.py").write_text(
        "from torch import nn\n\ndef make(num_classes, hidden=2):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3072, hidden), nn.ReLU(),\n"
        "                         nn.Linear(hidden, num_classes))\n"
    )
    options = ("--model", "my_net.py:make", "--model-arg", "hidden=3", "--threads", 1)
    done = type_command("train", "--data", pictures, "--epochs", 1, *options)
    assert done.code == 0
    assert "with my_net (9,227 parameters)" in done.err
    assert Path("runs/my_net/manifest.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input-size", "large"), "HEIGHTxWIDTH"),
        (("--mean", "a,b,c"), "one number for each channel"),
        (("--epochs", "0"), "--epochs"),
        (("--model-arg", "width"), "--model-arg width=2"),
        (("nothing",), "There is no recipe 'nothing'"),
        (("--data", "nowhere"), "nowhere"),
        (("--resume",), "nothing to resume"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    pictures: Path, type_command: TypeCommand, arguments: tuple[str, ...], words: str
) -> None:
    done = type_command("train", *arguments)
    assert done.code == 2
    out, err = done.out, done.err
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert not Path("runs/lenet").exists()


def test_class_names_are_no_markup(type_command: TypeCommand, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels, names = np.arange(20) % 2, np.array(["[/]", "[red]x[/red]"])
    parts: dict[str, Any] = {
        "x_train": images[:20],
        "y_train": labels,
        "x_test": images[20:],
        "y_test": labels,
    }
    (tmp_path / "names.npz").write_bytes(make_npz(parts | {"labels": names}))
    output = ("--output", tmp_path / "made", "--epochs", 1, "--threads", 1)
    done = type_command("train", "--data", tmp_path / "names.npz", *output)
    assert done.code == 0
    assert all(name in done.out for name in names)
