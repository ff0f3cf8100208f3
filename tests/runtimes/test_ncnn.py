"""ncnn: what pnnx makes of a net, where the preprocessing goes, and what it computes in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from edgecnn.errors import InputError, ModelError, UnavailableError
from edgecnn.feeding import normalise
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.runtime import (
    CheckedSession,
    Converted,
    TensorSpec,
    Variant,
    load_runtime,
    open_session,
)
from edgecnn.spec import InputContract
from edgecnn.worker import Worker
from tests.conftest import CONTRACT, TinyNet
from tests.runtimes import graphs

pytestmark = pytest.mark.skipif(
    find_spec("ncnn") is None or find_spec("pnnx") is None,
    reason="ncnn or pnnx is not installed: pip install 'edgecnn[pnnx]'",
)

Convert = Callable[..., Variant]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Give a function that converts a source and describes what came of it."""

    def run(source: Variant, **options: str) -> Variant:
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        adapter: Any = load_runtime("ncnn")
        made: Converted = adapter.convert(source, folder, name="net", options=options)
        return replace(
            source,
            format="ncnn",
            precision=made.precision or source.precision,
            files=tuple(str(folder / file) for file in made.files),
            batch=made.batch,
        )

    return run


@pytest.fixture
def tiny(tiny_net: TinyNet, tmp_path: Path) -> Variant:
    return _with_preprocessing(tiny_net.onnx(preprocessing=False), CONTRACT, tmp_path)


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_pixels_are_normalised_by_the_models_first_layer(
    color: Any, convert: Convert, tmp_path: Path
) -> None:
    channels = 1 if color == "gray" else 3
    mean, std = (0.4, 0.5, 0.1)[:channels], (0.2, 0.25, 0.3)[:channels]
    contract = InputContract(5, 7, color=color, mean=mean, std=std)
    source = _with_preprocessing(_negative(contract).SerializeToString(), contract, tmp_path)
    made = convert(source)
    layers = made.path.read_text().splitlines()[2:4]
    assert [line.split()[0] for line in layers] == ["Input", "Scale"]
    images = np.random.default_rng(0).integers(0, 256, (1, *contract.pixel_shape), np.uint8)
    with open_session(made, runtime="ncnn", threads=1) as session:
        assert session.inputs == (TensorSpec("pixels", "uint8", (1, 5, 7, channels)),)
        assert session.outputs == (TensorSpec("y", "float32", (1, channels, 5, 7)),)
        found = _run(session, {"pixels": images})["y"]
    np.testing.assert_allclose(found, -normalise(contract, images), rtol=0, atol=1e-6)


def test_a_net_without_preprocessing_takes_floats(
    convert: Convert, tiny_net: TinyNet, tmp_path: Path
) -> None:
    path = tmp_path / "floats.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False))
    images = tiny_net.images[:1]
    with open_session(convert(graphs.variant(path)), runtime="ncnn", threads=1) as session:
        assert session.inputs == (TensorSpec("image", "float32", (1, 3, 8, 8)),)
        logits = _run(session, {"image": normalise(CONTRACT, images)})["logits"]
    np.testing.assert_allclose(logits, tiny_net.exact(images), rtol=1e-5, atol=1e-5)


def test_it_computes_in_what_was_asked_for(
    convert: Convert, tiny: Variant, tiny_net: TinyNet
) -> None:
    made, exact = convert(tiny), tiny_net.exact(tiny_net.images[:1])
    errors = {}
    for precision in ("fp32", "fp16", "bf16"):
        options = {"precision": precision}
        with open_session(made, runtime="ncnn", threads=1, options=options) as session:
            assert session.precision == precision
            logits = _run(session, {"pixels": tiny_net.images[:1]})["logits"]
        errors[precision] = float(np.abs(logits - exact).max() / np.abs(exact).max())
    assert errors["fp32"] < 1e-6
    assert 1e-6 < errors["fp16"] < 5e-3
    assert errors["fp16"] < errors["bf16"] < 5e-2
    with open_session(made, runtime="ncnn", threads=1) as session:
        assert session.precision == "fp32"


def test_weights_of_half_the_size(convert: Convert, tiny: Variant, tiny_net: TinyNet) -> None:
    whole = Path(convert(tiny).files[1]).stat().st_size
    half = convert(tiny, precision="fp16")
    assert half.precision == "fp16"
    assert Path(half.files[1]).stat().st_size < 0.8 * whole
    images = tiny_net.images[:1]
    with open_session(half, runtime="ncnn", threads=1) as session:
        logits = _run(session, {"pixels": images})["logits"]
    error = np.abs(logits - tiny_net.exact(images)).max()
    assert 1e-6 < error < 0.02


def test_it_uses_the_threads_that_it_was_given(
    convert: Convert, tiny: Variant, tiny_net: TinyNet
) -> None:
    made, counts = convert(tiny), []
    for threads in (1, 3):
        with Worker() as worker:
            worker.open(made, runtime="ncnn", threads=threads)
            worker.outputs({"pixels": tiny_net.images[:1]})
            counts.append(len(list(Path(f"/proc/{worker.pid}/task").iterdir())))
    assert counts[1] == counts[0] + 2


def test_several_outputs_keep_their_names_and_shapes(
    convert: Convert, tiny_net: TinyNet, tmp_path: Path
) -> None:
    import onnx

    content = onnx.load_model_from_string(tiny_net.onnx(preprocessing=False))
    maps = helper.make_tensor_value_info("rectified", 1, ["N", 6, 6, 6])
    content.graph.output.insert(0, maps)
    source = _with_preprocessing(content.SerializeToString(), CONTRACT, tmp_path)
    images = tiny_net.images[:1]
    with open_session(convert(source), runtime="ncnn", threads=1) as session:
        found = _run(session, {"pixels": images})
    assert list(found) == ["rectified", "logits"]
    np.testing.assert_allclose(found["rectified"], tiny_net.maps(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["logits"], tiny_net.exact(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"precision": "int8"}, "'net.onnx' is int8"),
        ({"batch": 3}, "takes batches of 3"),
    ],
)
def test_variants_that_it_cannot_take(
    convert: Convert, tiny: Variant, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem) as refusal:
        convert(replace(tiny, **change))
    assert "--from" in refusal.value.remedy


def test_graphs_that_it_cannot_take(convert: Convert, tiny_net: TinyNet, tmp_path: Path) -> None:
    last = InputContract(8, 8, layout="nhwc")
    content = _negative(last).SerializeToString()
    with pytest.raises(ModelError, match="takes its channels last"):
        convert(_with_preprocessing(content, last, tmp_path))
    quantized = tiny_net.onnx("int8", preprocessing=False)
    with pytest.raises(ModelError, match="DequantizeLinear, QuantizeLinear, which pnnx does not"):
        convert(_with_preprocessing(quantized, CONTRACT, tmp_path))
    (tmp_path / "many.onnx").write_bytes(graphs.many().SerializeToString())
    with pytest.raises(ModelError, match="does not take one float32 image"):
        convert(graphs.variant(tmp_path / "many.onnx"))


def test_options_and_a_missing_pnnx_are_said_first(
    convert: Convert, tiny: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="'precision' of 'ncnn' cannot be 'int4'"):
        convert(tiny, precision="int4")
    monkeypatch.setitem(sys.modules, "pnnx", None)
    with pytest.raises(UnavailableError, match="pnnx, which is not installed") as refusal:
        convert(tiny)
    assert refusal.value.remedy == "Install it with `pip install 'edgecnn[pnnx]'`."


@pytest.mark.parametrize("file", [1, 2])
@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_each_file_is_needed_whole(convert: Convert, tiny: Variant, file: int, fault: str) -> None:
    made = convert(tiny)
    path = Path(made.files[file])
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=path.name):
        open_session(made, runtime="ncnn", threads=1)


def test_conversion_leaves_nothing_elsewhere(
    convert: Convert, tiny: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.chdir(here)
    convert(tiny)
    assert [*home.iterdir(), *here.iterdir()] == []


def _run(session: CheckedSession, inputs: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    return {name: value.astype(np.float64) for name, value in session.run(inputs).items()}


def _with_preprocessing(core: bytes, contract: InputContract, folder: Path) -> Variant:
    path = folder / "net.onnx"
    model = put_preprocessing_in_front(from_bytes(core, where="core"), contract)
    path.write_bytes(to_bytes(model))
    return replace(graphs.variant(path), preprocessing=True)


def _negative(contract: InputContract) -> ModelProto:
    shape = ("N", *contract.float_shape)
    specs = TensorSpec("x", "float32", shape), TensorSpec("y", "float32", shape)
    return graphs.model([helper.make_node("Neg", ["x"], ["y"])], specs[:1], specs[1:])
