"""OpenVINO: what it computes in, shapes as they come, and no word to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgecnn.errors import InputError, UnavailableError
from edgecnn.runtime import TensorSpec, Variant, load_runtime, open_session
from tests.conftest import TinyNet
from tests.runtimes import graphs

OPENVINO = "openvino"
pytestmark = pytest.mark.skipif(find_spec(OPENVINO) is None, reason="OpenVINO is not installed")
DEPTH = 512


@pytest.fixture
def net(tiny_net: TinyNet, tmp_path: Path) -> Variant:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    return graphs.variant(path)


@pytest.fixture
def product(tmp_path: Path) -> Variant:
    """Give two large products, whose sums are long enough to show how they are rounded."""
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=(DEPTH, DEPTH)).astype("f4") / 16 for name in ("w", "v")}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["y"]),
    ]
    specs = (TensorSpec("x", "float32", ("N", DEPTH)),), (TensorSpec("y", "float32", ("N", DEPTH)),)
    return graphs.save(graphs.model(nodes, *specs, weights), tmp_path / "product.onnx")


def rows(count: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(count, DEPTH)).astype("f4")


def error(variant: Variant, **options: str) -> float:
    """Give the largest error against float64, relative to the largest output."""
    feed = {"x": rows()}
    with open_session(variant, runtime="reference", options={"precision": "float64"}) as exact:
        expected = exact.run(feed)["y"].astype("f8")
    with open_session(variant, runtime=OPENVINO, options=options) as session:
        found = session.run(feed)["y"].astype("f8")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def core() -> Any:
    load_runtime(OPENVINO).availability("cpu")  # which imports it without its telemetry
    return import_module(OPENVINO).Core()


def capabilities() -> list[str]:
    found: list[str] = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def test_float32_is_float32_unless_less_is_asked_for(product: Variant) -> None:
    with open_session(product, runtime=OPENVINO) as session:
        assert session.precision == "fp32"
    assert error(product) < 1e-6


def test_bfloat16_is_what_ran_where_it_is_asked_for(product: Variant) -> None:
    if "BF16" not in capabilities():
        pytest.skip("this CPU does not compute in bfloat16")
    with open_session(product, runtime=OPENVINO, options={"precision": "bf16"}) as session:
        assert session.precision == "bf16"
    assert 1e-4 < error(product, precision="bf16") < 2e-2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_the_cpu_has_not_is_refused(product: Variant, precision: str) -> None:
    if precision.upper() in capabilities():
        pytest.skip(f"this CPU computes in {precision}")
    with pytest.raises(UnavailableError, match=rf"in '{precision}'.* in '(fp32|bf16)' on 'cpu'"):
        open_session(product, runtime=OPENVINO, options={"precision": precision})


@pytest.mark.parametrize(
    "options", [{"precision": "int4"}, {"shape": "round"}, {"streams": "2"}], ids=str
)
def test_wrong_options_are_refused(net: Variant, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"(int4.*fp32|round.*as-fed|streams.*precision)"):
        open_session(net, runtime=OPENVINO, options=options)


@pytest.mark.parametrize("provider", ["gpu", "npu"])
def test_what_means_nothing_on_a_device_is_refused_there(net: Variant, provider: str) -> None:
    adapter = load_runtime(OPENVINO)
    pinned = {"cpu_pinning": "on"}
    with pytest.raises(InputError, match="no option 'cpu_pinning'"):
        adapter.open_session(net, provider=provider, threads=1, options=pinned)


@pytest.mark.parametrize("options", [{"shape": "dynamic"}, {"cpu_pinning": "on"}], ids=str)
def test_options_change_no_answer(net: Variant, tiny_net: TinyNet, options: dict[str, str]) -> None:
    with (
        open_session(net, runtime=OPENVINO) as plain,
        open_session(net, runtime=OPENVINO, options=options) as other,
    ):
        for count in (1, 5):
            pixels = {"pixels": tiny_net.images[:count]}
            found, expected = other.run(pixels)["logits"], plain.run(pixels)["logits"]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]


def test_int8_agrees_with_onnx_runtime(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    path.write_bytes(tiny_net.onnx("int8"))
    pixels = {"pixels": tiny_net.images}
    answers = []
    for runtime in ("ort", OPENVINO):
        with open_session(graphs.variant(path), runtime=runtime) as session:
            answers.append(session.run(pixels)["logits"].astype("f8"))
    assert np.abs(answers[1] - answers[0]).max() < 0.02 * np.abs(answers[0]).max()
    assert (answers[1].argmax(1) == answers[0].argmax(1)).mean() > 0.95


def test_every_shape_that_comes_is_right(product: Variant) -> None:
    """More of them than programs are kept."""
    x = rows(12)
    with open_session(product, runtime=OPENVINO) as session:
        whole = session.run({"x": x})["y"]
        for count in (*range(1, 12), 1, 12):
            found = session.run({"x": x[:count]})["y"]
            np.testing.assert_allclose(found, whole[:count], rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]


def test_sizes_may_be_open_anywhere(tmp_path: Path) -> None:
    shape = ("N", 3, "height", "?")
    inputs, outputs = TensorSpec("x", "float32", shape), TensorSpec("y", "float32", shape)
    relu = graphs.model([helper.make_node("Relu", ["x"], ["y"])], (inputs,), (outputs,))
    with open_session(graphs.save(relu, tmp_path / "relu.onnx"), runtime=OPENVINO) as session:
        assert (session.inputs, session.outputs) == ((inputs,), (outputs,))
        for sizes in ((1, 3, 2, 5), (2, 3, 4, 1)):
            x = np.random.default_rng(0).normal(size=sizes).astype("f4")
            np.testing.assert_array_equal(session.run({"x": x})["y"], np.maximum(x, 0))


def test_a_constant_that_is_an_input_and_goes_out_keeps_its_names(tmp_path: Path) -> None:
    """As in files before IR 4, whose constants are inputs that have a value."""
    x, k = TensorSpec("x", "float32", ("N",)), TensorSpec("k", "float32", ("K",))
    y, same = TensorSpec("y", "float32", ("N",)), TensorSpec("same", "float32", (2,))
    nodes = [
        helper.make_node("Neg", ["x"], ["y"]),
        helper.make_node("Reshape", ["k", "two"], ["same"]),
    ]
    constants: graphs.Arrays = {"k": np.array([1, 2], np.float32), "two": np.array([2])}
    model = graphs.model(nodes, (x, k), (y, same), constants)
    with open_session(graphs.save(model, tmp_path / "k.onnx"), runtime=OPENVINO) as session:
        assert (session.inputs, session.outputs) == ((x,), (y, same))
        np.testing.assert_array_equal(session.run({"x": np.ones(3, np.float32)})["same"], [1, 2])


def test_prepared_calls_keep_to_their_own_inputs(product: Variant) -> None:
    first, second = rows(2)[:1], rows(2)[1:]
    with open_session(product, runtime=OPENVINO) as session:
        calls = [session.prepare({"x": x}) for x in (first, second)]
        expected = [session.run({"x": x})["y"] for x in (first, second)]
        for call, right in [*zip(calls, expected, strict=True)] * 2:
            outputs = call()
            np.testing.assert_array_equal(outputs[0], right)  # type: ignore[index]


def test_integers_that_it_would_cut_off_are_refused(tmp_path: Path) -> None:
    spec, twice = TensorSpec("x", "int64", ("N",)), TensorSpec("y", "int64", ("N",))
    add = graphs.model([helper.make_node("Add", ["x", "x"], ["y"])], (spec,), (twice,))
    with open_session(graphs.save(add, tmp_path / "add.onnx"), runtime=OPENVINO) as session:
        small = np.array([-(2**30), 2**30 - 1])
        np.testing.assert_array_equal(session.run({"x": small})["y"], 2 * small)
        for use in (session.run, session.prepare):
            for large in (2**31, -(2**31) - 1):
                with pytest.raises(InputError, match="32 bits"):
                    use({"x": np.array([0, large])})


def test_more_threads_than_there_are_cores_are_refused(net: Variant) -> None:
    adapter = load_runtime(OPENVINO)
    with pytest.raises(UnavailableError, match="computes on") as refusal:
        adapter.open_session(net, provider="cpu", threads=1_000, options={})
    assert "--threads" in refusal.value.remedy


@pytest.mark.parametrize("provider", ["gpu", "npu"])
def test_a_device_that_is_not_here_is_refused(net: Variant, provider: str) -> None:
    if any(each.startswith(provider.upper()) for each in core().available_devices):
        pytest.skip(f"there is a {provider} here")
    with pytest.raises(UnavailableError, match=f"no {provider.upper()} here, only CPU") as refusal:
        open_session(net, runtime=OPENVINO, provider=provider)
    assert "driver" in refusal.value.remedy


def test_nothing_is_written_or_sent(net: Variant, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    said = _python(
        "with open_session(plain_file(sys.argv[1]), runtime='openvino') as session:\n"
        "    print(sorted(name for name in sys.modules if name.startswith('openvino_telemetry')))",
        net,
        HOME=str(home),
        TMPDIR=str(home),
    )
    assert (said.stdout, said.stderr) == ("[]\n", "")
    assert list(home.iterdir()) == []


def test_where_it_is_not_installed_the_extra_is_named(net: Variant) -> None:
    said = _python(
        "sys.modules['openvino'] = None\n"
        "try: open_session(plain_file(sys.argv[1]), runtime='openvino')\n"
        "except Exception as error: print(error.exit_code, error)",
        net,
    )
    assert said.stdout.startswith("3 OpenVINO is not installed."), said.stderr
    assert "edgecnn[openvino]" in said.stdout


def _python(program: str, net: Variant, **environment: str) -> subprocess.CompletedProcess[str]:
    head = "import sys; from edgecnn.runtime import open_session, plain_file\n"
    return subprocess.run(
        [sys.executable, "-c", head + program, net.files[0]],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
