from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.errors import ModelError

torch = pytest.importorskip("torch")

from edgecnn.importing.unwrapping import match_names, read_weights, to_float32  # noqa: E402

if TYPE_CHECKING:
    from edgecnn.importing.unwrapping import Weights


class OwnNet(torch.nn.Module):  # type: ignore[name-defined, misc]
    """Stands for a net whose class the file names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(4, 5)

    def forward(self, x: Any) -> Any:
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


class Settings:
    """Stands for an object of a package that is not installed."""

    def __init__(self, width: int) -> None:
        self.width = width


Save = Callable[..., Path]


@pytest.fixture(scope="session")
def net() -> OwnNet:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return OwnNet()


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(content: object, name: str = "file.pth", **options: Any) -> Path:
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return write


def matched(path: Path, net: OwnNet, key: str | None = None) -> Weights:
    return match_names(read_weights(path, key), net.state_dict())


def prefixed(net: OwnNet, prefix: str, plus: float = 0.0) -> dict[str, Any]:
    return {prefix + name: tensor + plus for name, tensor in net.state_dict().items()}


def same(weights: Weights, net: OwnNet, plus: float = 0.0) -> bool:
    own = net.state_dict()
    assert weights.state.keys() == own.keys()
    return all(torch.equal(weights.state[name], own[name] + plus) for name in own)


def wrap(form: str, net: OwnNet) -> Any:
    state = net.state_dict()
    averaged = torch.optim.swa_utils.AveragedModel(net).state_dict()
    return {
        "bare": state,
        "ordered": OrderedDict(state),
        "state_dict": {"state_dict": state, "epoch": 3, "best_acc1": torch.tensor(61.0)},
        "model": {"model": state, "optimizer": {"state": {}, "param_groups": []}},
        "named otherwise": {"my_best_weights": state, "optimizer": {"a": torch.zeros(1)}},
        "twice": {"checkpoint": 1, "model": {"state_dict": state}},
        "data parallel": prefixed(net, "module."),
        "compiled": prefixed(net, "_orig_mod."),
        "compiled inside": {
            name.replace("conv.", "conv._orig_mod."): tensor for name, tensor in state.items()
        },
        "parallel and compiled": {"state_dict": prefixed(net, "module._orig_mod.")},
        "lightning": {
            "state_dict": prefixed(net, "net.") | {"criterion.weight": torch.ones(5)},
            "hyper_parameters": {"width": 4, "lr": 0.1, "nested": {"a": 1}},
            "pytorch-lightning_version": "2.4.0",
            "callbacks": {},
        },
        "averaged": {"model_ema": averaged},
        "args": {"model": state, "args": argparse.Namespace(lr=0.1, path=Path("x"))},
        "of a package": {"state_dict": state, "config": Settings(3)},
    }[form]


@pytest.mark.parametrize(
    ("form", "notes"),
    [
        ("bare", []),
        ("ordered", []),
        ("state_dict", ["Unwrapped the entry state_dict."]),
        ("model", ["Unwrapped the entry model."]),
        ("named otherwise", ["Unwrapped the entry my_best_weights."]),
        ("twice", ["Unwrapped the entry model / state_dict."]),
        ("data parallel", ["Unwrapped the prefix module."]),
        ("compiled", ["Unwrapped the prefix _orig_mod."]),
        ("compiled inside", ["Unwrapped the prefix _orig_mod."]),
        (
            "parallel and compiled",
            [
                "Unwrapped the entry state_dict.",
                "Unwrapped the prefix _orig_mod.",
                "Unwrapped the prefix module.",
            ],
        ),
        (
            "lightning",
            [
                "Unwrapped the entry state_dict.",
                "Unwrapped the prefix net and left out criterion.weight.",
            ],
        ),
        (
            "averaged",
            [
                "Unwrapped the entry model_ema.",
                "Unwrapped the prefix module and left out n_averaged.",
            ],
        ),
        (
            "args",
            [
                "Unwrapped the entry model.",
                "Left unread in the file: argparse.Namespace, pathlib.PosixPath.",
            ],
        ),
        ("of a package", ["Unwrapped the entry state_dict.", "Left unread in the file: {own}."]),
    ],
)
def test_every_form_is_unwrapped_and_said(
    net: OwnNet, save: Save, form: str, notes: list[str]
) -> None:
    found = matched(save(wrap(form, net)), net)
    assert same(found, net)
    own = f"{Settings.__module__}.Settings"
    # Which class a path is depends on the system and on Python.
    assert [note.replace("pathlib._local.", "pathlib.") for note in found.notes] == [
        note.format(own=own) for note in notes
    ]


def test_lightnings_arguments_are_kept(net: OwnNet, save: Save) -> None:
    assert read_weights(save(wrap("lightning", net))).settings == {"width": 4, "lr": 0.1}


@pytest.mark.parametrize("name", ["ema", "state_dict_ema", "model_ema", "params_ema"])
def test_averaged_weights_go_first_and_the_others_can_be_had(
    net: OwnNet, save: Save, name: str
) -> None:
    path = save({"state_dict": net.state_dict(), name: prefixed(net, "module.", 1.0)})
    first = matched(path, net)
    assert same(first, net, 1.0)
    assert first.notes[0] == (
        f"Unwrapped the entry {name}; --weights-key state_dict takes the other weights."
    )
    other = matched(path, net, "state_dict")
    assert same(other, net)
    assert other.notes == ("Unwrapped the entry state_dict.",)


def test_averaged_weights_go_first_among_prefixes(net: OwnNet, save: Save) -> None:
    both = prefixed(net, "model.") | prefixed(net, "ema_model.module.", 1.0)
    found = matched(save({"state_dict": both}), net)
    assert same(found, net, 1.0)
    assert found.notes[-1].startswith("Unwrapped the prefix ema_model.module and left out model.")


def test_several_boxes_are_asked_about(net: OwnNet, save: Save) -> None:
    path = save({"generator": net.state_dict(), "critic": net.state_dict()})
    with pytest.raises(ModelError, match=r"several things .*: generator, critic\.") as caught:
        read_weights(path)
    assert caught.value.remedy == "Say which with --weights-key generator."
    assert same(matched(path, net, "critic"), net)
    with pytest.raises(ModelError, match="has no entry 'actor'") as caught:
        read_weights(path, "actor")
    assert "generator, critic" in caught.value.remedy


def test_the_old_format_and_safetensors_are_read(net: OwnNet, save: Save, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    old = save({"state_dict": net.state_dict()}, _use_new_zipfile_serialization=False)
    assert same(matched(old, net), net)
    save_file(prefixed(net, "module."), tmp_path / "file.safetensors")
    assert same(matched(tmp_path / "file.safetensors", net), net)
    # What a file is, its content says.
    renamed = (tmp_path / "file.safetensors").rename(tmp_path / "file.bin")
    assert same(matched(renamed, net), net)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_kinds_of_floats_become_float32_and_it_is_said(
    net: OwnNet, save: Save, kind: str
) -> None:
    state = {
        name: tensor.to(getattr(torch, kind)) if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }
    found = to_float32(matched(save(state), net))
    assert found.notes == (f"8 tensors were {kind} and are float32 now.",)
    assert {str(tensor.dtype) for tensor in found.state.values()} == {
        "torch.float32",
        "torch.int64",
    }
    assert torch.allclose(found.state["fc.weight"], net.fc.weight, atol=0.01)


def test_weights_that_are_no_numbers_are_refused(net: OwnNet, save: Save) -> None:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state["fc.bias"][2] = float("nan")
    with pytest.raises(ModelError, match=r"hold NaN or infinity: fc\.bias"):
        to_float32(read_weights(save(state)))
    complex_numbers = save({"w": torch.ones(2, dtype=torch.complex64)})
    with pytest.raises(ModelError, match=r"'w' in .* is a tensor of torch\.complex64"):
        to_float32(read_weights(complex_numbers))


@pytest.mark.parametrize("old", [False, True])
def test_a_pickled_net_is_refused_and_its_remedy_works(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    whole = torch.nn.Sequential(OrderedDict(fc=torch.nn.Linear(4, 5)))
    path = save(whole, "a net.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(ModelError, match="only running its code can read") as caught:
        read_weights(path)
    assert "torch.nn.modules" in caught.value.problem
    python, option, code = shlex.split(caught.value.remedy.split("`")[1])
    assert (python, option) == ("python", "-c")
    monkeypatch.chdir(tmp_path)
    exec(code)
    assert torch.equal(read_weights(tmp_path / "weights.pth").state["fc.weight"], whole.fc.weight)


def test_a_pickled_net_inside_a_checkpoint_is_refused(net: OwnNet, save: Save) -> None:
    with pytest.raises(ModelError, match=r"pickled .*OwnNet, a whole net") as caught:
        read_weights(save({"epoch": 3, "model": net}))
    assert 'weights_only=False)["model"].state_dict()' in caught.value.remedy


@pytest.mark.parametrize(
    ("function", "read"), [(subprocess.call, True), (Path.touch, False), (os.mkdir, False)]
)
def test_nothing_in_a_file_is_run(
    save: Save, tmp_path: Path, function: Callable[..., object], read: bool
) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            command = ["mkdir", str(tmp_path / "owned")]
            return (function, (command if function is subprocess.call else tmp_path / "owned",))

    path = save({"state_dict": {"w": torch.ones(1)}, "config": Evil()})
    if read:
        assert list(read_weights(path).state) == ["w"]
    else:
        with pytest.raises(ModelError):
            read_weights(path)
    assert not (tmp_path / "owned").exists()


def test_a_zip_bomb_is_refused(net: OwnNet, save: Save, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    stored = save({"w": torch.zeros(100_000)})
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(bomb, "w", 8) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    with pytest.raises(ModelError, match="unpacks to more than its own size"):
        read_weights(bomb)


def test_a_torchscript_archive_is_refused(net: OwnNet, tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(net.eval(), torch.zeros(1, 3, 8, 8)).save(str(path))
    with pytest.raises(ModelError, match="is a TorchScript archive") as caught:
        read_weights(path)
    assert 'torch.jit.load("' in caught.value.remedy


@pytest.mark.parametrize("name", ["file.pth", "old.pth", "file.safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(
    net: OwnNet, save: Save, tmp_path: Path, name: str, share: float
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(net.state_dict(), path)
    else:
        save(net.state_dict(), name, _use_new_zipfile_serialization=name != "old.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"cannot be read as weights: .* damaged") as caught:
        read_weights(path)
    assert "Copy or download it again" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content", "problem", "remedy"),
    [
        ("empty.pth", b"", "is empty", "again"),
        ("text.pth", b"these are no weights", "cannot be read as weights", "torch.save"),
        ("net.pth", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        ("net.bin", b"\n<!DOCTYPE html><html>", "is a web page", "Download"),
        ("net.onnx", b"\x08\x0a", "is an ONNX file", "edgecnn import"),
        ("net.h5", b"\x89HDF\r\n", "holds Keras weights", "tf2onnx"),
        ("zip.pth", b"PK\x05\x06" + bytes(18), "zip archive that torch.save did not", "Unpack"),
    ],
)
def test_another_file_is_refused_by_what_it_is(
    tmp_path: Path, name: str, content: bytes, problem: str, remedy: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=problem) as caught:
        read_weights(tmp_path / name)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([1, 2], "holds a list, and no weights by name"),
        (torch.ones(2), "holds a Tensor, and no weights"),
        ({}, "holds a dict of nothing"),
        ({"epoch": 3, "state_dict": {}}, "a dict of epoch, state_dict"),
    ],
)
def test_what_holds_no_weights_is_refused(save: Save, content: object, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        read_weights(save(content))


def test_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is a folder") as caught:
        read_weights(tmp_path)
    assert caught.value.remedy.endswith("model.safetensors.")
    with pytest.raises(ModelError, match="There is no file"):
        read_weights(tmp_path / "nothing.pth")


def test_integers_in_place_of_floats_are_refused(net: OwnNet, save: Save) -> None:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state["fc.weight"] = (state["fc.weight"] * 100).to(torch.int8)
    weights = read_weights(save(state))
    with pytest.raises(ModelError, match=r"'fc\.weight' in .* is a tensor of torch\.int8"):
        to_float32(weights, {"fc.weight"})
    counters = to_float32(read_weights(save(net.state_dict())), {"fc.weight"}).state
    assert counters["norm.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (torch.zeros(2, device="meta"), "has a shape and no numbers"),
        (torch.zeros(1).expand(1 << 20, 1 << 20), "repeats a few numbers to 1,099,511,627,776"),
    ],
)
def test_tensors_without_numbers_of_their_own_are_refused(
    save: Save, tensor: Any, problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        read_weights(save({"fc.weight": tensor}))


def test_what_a_file_says_neither_steers_a_terminal_nor_runs_when_pasted(save: Save) -> None:
    box = {"w": torch.zeros(1)}
    with pytest.raises(ModelError) as found:
        read_weights(save({"$(touch x)": box, "\x1b[2J": box}))
    assert "\x1b" not in found.value.problem
    assert found.value.remedy == "Say which with --weights-key '$(touch x)'."
