from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.golden import make_npz

if TYPE_CHECKING:
    from tests.conftest import TinyNet, TypeCommand

torch = pytest.importorskip("torch")

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x):
        print("a net that talks")
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder; net and weights, and data of its own, lie beside it."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


@pytest.fixture
def own(place: Path, tiny_net: TinyNet) -> tuple[str, ...]:
    """Give the arguments that name the tiny net, as a PyTorch net that Lightning saved."""
    (place / "net.py").write_text(NET)
    state = {
        "model.conv.weight": torch.from_numpy(tiny_net.filters),
        "model.conv.bias": torch.zeros(6),
        "model.fc.weight": torch.from_numpy(tiny_net.matrix),
        "model.fc.bias": torch.from_numpy(tiny_net.bias),
    }
    torch.save({"state_dict": state, "epoch": 3}, place / "last.ckpt")
    return "--model", f"{place / 'net.py'}:Net", "--weights", str(place / "last.ckpt")


@pytest.fixture
def data(place: Path, tiny_net: TinyNet) -> Path:
    """Give the tiny net's images, 120 to train and 80 to test, and what it truly answers."""
    images = tiny_net.images
    labels = tiny_net.exact(images).argmax(axis=1)
    arrays: dict[str, Any] = {"labels": np.array(["circle", "cross", "square", "star"])}
    arrays |= {"x_train": images[:120], "y_train": labels[:120]}
    arrays |= {"x_test": images[120:], "y_test": labels[120:]}
    (place / "pictures.npz").write_bytes(make_npz(arrays))
    return place / "pictures.npz"


TRUE = ("--input-size", "8x8", "--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.3")


def test_a_checkpoint_becomes_a_bundle_and_what_was_assumed_is_printed(
    own: tuple[str, ...], type_command: TypeCommand
) -> None:
    done = type_command("import", *own, *TRUE)
    assert done.code == 0
    assert [line for line in done.err.splitlines() if line != "a net that talks"] == [
        "Unwrapped the entry state_dict.",
        "Unwrapped the prefix model.",
        "Read off the weights: num_classes=4.",
    ]
    lines = done.out.splitlines()
    assert lines[0].endswith("net.py:Net: 196 parameters, gives logits [4].")
    assert [line.split(maxsplit=2) for line in lines[4:15]] == [
        ["--input-size", "8x8", "given"],
        ["--color", "rgb", "assumed"],
        ["--scale", "1/255", "assumed"],
        ["--mean", "0.5,0.4,0.3", "given"],
        ["--std", "0.2,0.25,0.3", "given"],
        ["--resize", "stretch", "assumed"],
        ["--filter", "bilinear", "assumed"],
        ["--layout", "nchw", "PyTorch"],
        ["--labels", "none", "assumed"],
        ["--output-kind", "logits", "assumed"],
        ["--output-name", "the", "first  assumed"],
    ]
    assert lines[-2:] == ["Bundle: runs/net", "Next: edgecnn export"]
    assert len(list(Path("runs/net/reports").iterdir())) == 1


def test_json_is_one_document_that_says_the_same(
    own: tuple[str, ...], place: Path, type_command: TypeCommand
) -> None:
    (place / "contract.toml").write_text('color = "bgr"\nmean = "0.1,0.2,0.3"\nlabels = "l.txt"\n')
    (place / "l.txt").write_text("a\nb\nc\nd\n")
    done = type_command(
        "import", *own, *TRUE, "--contract", place / "contract.toml", "--output", "a b", "--json"
    )
    assert done.code == 0
    report = json.loads(done.out)
    assert report["measured"].keys() == {str(place / "last.ckpt")}
    body = report["body"]
    assert body["bundle"] == "a b"
    assert body["contract"]["color"] == "bgr"
    assert body["contract"]["mean"] == [0.5, 0.4, 0.3]
    assert body["contract"]["labels"] == ["a", "b", "c", "d"]
    assert body["notes"] == [line for line in done.err.splitlines() if "talks" not in line]


def test_with_data_the_detective_says_what_it_found(
    own: tuple[str, ...], data: Path, type_command: TypeCommand
) -> None:
    done = type_command("import", *own, *TRUE, "--data", data)
    assert done.code == 0
    [sentence] = [line for line in done.out.splitlines() if "contract" in line]
    assert sentence.startswith(("The net gets 100.0 % of 120", "120 images are too few"))
    assert done.out.endswith("Next: edgecnn export --quantize\n")
    silent = type_command("import", *own, *TRUE, "--data", data, "--no-detective", "--force")
    assert "contract" not in silent.out


@pytest.mark.slow
def test_from_a_checkpoint_to_a_proved_file(
    own: tuple[str, ...], data: Path, type_command: TypeCommand, tiny_net: TinyNet
) -> None:
    from edgecnn.predictor import load

    assert type_command("import", *own, *TRUE, "--data", data).code == 0
    assert type_command("export").code == 0
    assert type_command("parity").code == 0
    with load("runs/net") as predictor:
        answers = predictor.run(tiny_net.images)
    assert np.abs(answers - tiny_net.exact(tiny_net.images)).max() < 1e-4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input-size", "big"), "Write HEIGHTxWIDTH, such as 224x224."),
        (("--mean", "a,b"), "Write one number for each channel"),
        (("--scale", "1/x"), "Write a number or a fraction"),
        (("--contract", "none.toml"), "none.toml cannot be read"),
        (("--labels", "none.txt"), "none.txt cannot be read"),
        (("--resize", "crop", "--input-size", "8"), "'crop' is no resize rule"),
        (("--filter", "sharp", "--input-size", "8"), "'sharp' is no resampling filter"),
        (("--data", "nowhere", "--input-size", "8"), "There is no data 'nowhere'"),
        ((), "Nothing says the size of the input"),
        (("net.onnx",), "Two things are named to import"),
        (("--weights", "none.pth"), "There is no file none.pth"),
    ],
)
def test_mistakes_are_exit_2_and_leave_nothing_behind(
    own: tuple[str, ...], type_command: TypeCommand, arguments: tuple[str, ...], words: str
) -> None:
    done = type_command("import", *own, *arguments)
    assert done.code == 2
    assert words in done.err.replace("\n", " ")
    assert done.out == ""
    assert list(Path().iterdir()) == []


def test_an_onnx_file_is_imported_by_its_name_alone(
    place: Path, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    (place / "tiny.onnx").write_bytes(tiny_net.onnx(preprocessing=False))
    done = type_command("import", place / "tiny.onnx", *TRUE[2:])
    assert done.code == 0, done.err
    assert done.out.endswith("Bundle: runs/tiny\nNext: edgecnn parity\n")
    assert "--input-size 8x8" in done.out


def test_a_contract_that_suits_better_is_the_next_step(
    own: tuple[str, ...], data: Path, type_command: TypeCommand
) -> None:
    done = type_command("import", *own, "--input-size", "8x8", "--scale", "1", "--data", data)
    assert done.code == 0, done.err
    assert "Another input contract is clearly better" in done.out, done.out
    last = done.out.splitlines()[-1]
    assert last.startswith("Next: the same `edgecnn import` with --")
    assert last.endswith(" --force")
