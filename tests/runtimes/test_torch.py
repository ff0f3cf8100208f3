"""PyTorch: the net's own operators from one file, eager and compiled, without code and pickles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError, ModelError, UnavailableError
from edgecnn.recipe import ModelSpec
from edgecnn.runtime import CheckedSession, load_runtime, open_session
from edgecnn.spec import InputContract, Variant

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
nets = pytest.importorskip("edgecnn.nets")

SOURCE = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
MakeVariant = Callable[..., Variant]


class Tiny(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Two answers, one of them by name alone; the batch is in its graph as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2)
        self.norm = torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(4, 5)

    def forward(self, image: Any) -> dict[str, Any]:
        maps = torch.relu(self.norm(self.conv(image)))
        features = maps.mean((2, 3)).view(image.size(0), -1)
        return {"scores": self.fc(features), "features": features}


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    return nets.PixelNet(Tiny().eval(), InputContract(9, 8, mean=(0.5,) * 3, std=(0.2, 0.3, 0.4)))


@pytest.fixture(scope="module")
def images() -> Any:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), np.uint8)


@pytest.fixture
def make(tmp_path: Path) -> MakeVariant:
    """Give a function that converts a net as `edgecnn export --format torch` does."""

    def convert(net: Any, source: Variant = SOURCE) -> Variant:
        adapter: Any = load_runtime("torch")
        made = adapter.convert(source, tmp_path, name="torch", options={}, net=net)
        (file,) = made.files
        assert file.startswith("torch.")
        return Variant("torch", "fp32", "torch", (str(tmp_path / file),), batch=made.batch)

    return convert


def open_torch(variant: Variant, **options: str) -> CheckedSession:
    return open_session(variant, runtime="torch", provider="cpu", threads=1, options=options)


def _assert_close(session: CheckedSession, net: Any, images: Any) -> None:
    found: dict[str, Any] = session.run({"pixels": images})
    for name, value in _exact(net, images).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


def _exact(net: Any, images: Any) -> dict[str, Any]:
    with torch.no_grad():
        answers = net(torch.from_numpy(images))
    return {name: a.numpy() for name, a in zip(net.output_names, answers, strict=True)}


def test_it_answers_as_the_net(make: MakeVariant, net: Any, images: Any) -> None:
    with open_torch(make(net)) as session:
        assert [spec.name for spec in session.outputs] == ["scores", "features"]
        assert session.inputs[0].shape == ("N", 9, 8, 3)
        assert session.precision == "fp32"
        for count in (1, 2, 6):
            _assert_close(session, net, images[:count])


@pytest.mark.parametrize("name", ["lenet", "mobilenet-tiny", "resnet8"])
def test_the_shelfs_nets(make: MakeVariant, name: str) -> None:
    contract = InputContract(32, 32, labels=tuple("abcdefghij"))
    torch.manual_seed(0)
    plain, _ = nets.make_net(ModelSpec(name), contract)
    net = nets.PixelNet(plain.eval(), contract)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    with open_torch(make(net)) as session:
        _assert_close(session, net, images)


def test_a_fixed_batch(make: MakeVariant, net: Any, images: Any) -> None:
    variant = make(net, replace(SOURCE, batch=1))
    assert variant.batch == 1
    with open_torch(variant) as session:
        assert session.inputs[0].shape == (1, 9, 8, 3)
        with pytest.raises(InputError, match="shape"):
            session.run({"pixels": images[:2]})


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_compiled_it_answers_the_same(make: MakeVariant, net: Any, images: Any) -> None:
    with open_torch(make(net), mode="compiled") as session:
        _assert_close(session, net, images[:1])


def test_without_a_compiler(make: MakeVariant, net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match="no-such-compiler") as refusal:
        open_torch(make(net), mode="compiled")
    assert "apt-get install" in refusal.value.remedy


def test_bf16_when_asked(make: MakeVariant, net: Any, images: Any) -> None:
    with open_torch(make(net), precision="bf16") as session:
        assert session.precision == "bf16"
        found = session.run({"pixels": images})["scores"]
    exact = _exact(net, images)["scores"]
    error = np.abs(found - exact).max() / np.abs(exact).max()
    assert found.dtype == np.float32
    assert 1e-4 < error < 0.1


def test_a_cpu_has_no_tf32(make: MakeVariant, net: Any) -> None:
    with pytest.raises(UnavailableError, match="tf32"):
        open_torch(make(net), precision="tf32")


def test_threads_are_those_of_the_session(make: MakeVariant, net: Any, images: Any) -> None:
    variant, pixels = make(net), {"pixels": images}
    before = torch.get_num_threads()
    try:
        with open_torch(variant) as one:
            with open_session(variant, runtime="torch", threads=2) as two:
                two.run(pixels)
                assert torch.get_num_threads() == 2
            one.run(pixels)
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "source", [replace(SOURCE, precision="int8"), replace(SOURCE, preprocessing=False)]
)
def test_it_is_made_of_nothing_else(make: MakeVariant, net: Any, source: Variant) -> None:
    with pytest.raises(InputError, match="fp32"):
        make(net, source)


def test_a_net_that_decides_by_values(make: MakeVariant) -> None:
    class Choosing(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, image: Any) -> Any:
            return image.mean((1, 2, 3)) if image.sum() > 0 else image.sum((1, 2, 3))

    net = nets.PixelNet(Choosing(), InputContract(9, 8))
    with pytest.raises(ModelError, match=r"torch\.export cannot trace") as refusal:
        make(net)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "operator.attrgetter",
        "operator.__import__",
        "aten.no_such.default",
        "aten.__class__.mro",
    ],
)
def test_a_file_can_call_operators_alone(make: MakeVariant, net: Any, target: str) -> None:
    variant = make(net)

    def change(graph: dict[str, Any]) -> None:
        graph["calls"][0]["target"] = target

    _rewrite(variant.path, change)
    with pytest.raises(ModelError, match=r"is no ATen operator|has no attribute"):
        open_torch(variant)


def test_a_file_cannot_read_others(make: MakeVariant, net: Any) -> None:
    variant = make(net)

    def change(graph: dict[str, Any]) -> None:
        call = graph["calls"][0]
        call["target"] = "aten.from_file.default"
        call["args"], call["kwargs"] = [__file__, False, 3], {"dtype": {"dtype": "uint8"}}

    _rewrite(variant.path, change)
    with pytest.raises(ModelError, match="reads files"):
        open_torch(variant)


def test_no_name_in_a_file_is_run(make: MakeVariant, net: Any, tmp_path: Path) -> None:
    """torch.fx makes Python code of a graph: a file that was tampered with must not write in it."""
    mark = tmp_path / "mark"
    evil = f'a", open({str(mark)!r}, "w")) #'
    for_weights, for_arguments = make(net), shutil.copy(make(net).path, tmp_path / "two")
    first = next(iter(safetensors.load_file(for_weights.path)))

    def rename(graph: dict[str, Any]) -> None:
        text = json.dumps(graph["calls"]).replace(f'"{first}"', json.dumps(evil))
        graph["calls"] = json.loads(text)

    def argue(graph: dict[str, Any]) -> None:
        graph["calls"][0]["kwargs"] = {f"x=open({str(mark)!r}, 'w'), y": 1}

    _rewrite(for_weights.path, rename, {first: evil})
    with open_torch(for_weights) as session:
        session.run({"pixels": np.zeros((1, 9, 8, 3), np.uint8)})
    _rewrite(Path(for_arguments), argue)
    with pytest.raises(ModelError, match="takes no"):
        open_torch(replace(for_weights, files=(str(for_arguments),)))
    assert not mark.exists()


@pytest.mark.parametrize("value", [{"dtype": "load"}, {"of": "nobody"}, {"a": 1, "b": 2}])
def test_values_that_a_file_cannot_hold(make: MakeVariant, net: Any, value: object) -> None:
    variant = make(net)

    def change(graph: dict[str, Any]) -> None:
        graph["calls"][0]["args"][1] = value

    _rewrite(variant.path, change)
    with pytest.raises(ModelError, match=r"torch\.safetensors"):
        open_torch(variant)


def test_weights_alone_are_no_program(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.save_file({"w": torch.ones(1)}, path)
    with pytest.raises(ModelError, match="no program"):
        open_torch(Variant("torch", "fp32", "torch", (str(path),)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu_is_said(make: MakeVariant, net: Any) -> None:
    with pytest.raises(UnavailableError, match=r"CUDA|NVIDIA GPU") as refusal:
        open_session(make(net), runtime="torch", provider="cuda")
    assert refusal.value.exit_code == 3


def _rewrite(
    path: Path, change: Callable[[dict[str, Any]], None], names: dict[str, str] | None = None
) -> None:
    weights = {(names or {}).get(n, n): value for n, value in safetensors.load_file(path).items()}
    with safetensors.safe_open(path, "pt") as file:
        ((key, text),) = file.metadata().items()
    graph = json.loads(text)
    change(graph)
    safetensors.save_file(weights, path, metadata={key: json.dumps(graph)})
