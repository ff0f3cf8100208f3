"""Other wheels of ONNX Runtime, for real: one with a second provider that runs on a CPU, and the
one for GPUs on a machine that has none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgecnn.placement import Placement
from edgecnn.records import from_json
from edgecnn.runtime import TensorSpec, load_runtime
from edgecnn.spec import Variant
from tests.conftest import HoldToSchema, TinyNet
from tests.runtimes import graphs
from tests.wheels import Environment, environment

pytestmark = [
    pytest.mark.wheels,
    pytest.mark.skipif(
        not Path("/proc/self/maps").is_file(), reason="these wheels are looked into on Linux"
    ),
]

_BENCH = ("bench", "--iterations", "20", "--warmup", "2", "--no-cold-start")
_PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session")
def openvino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder = tmp_path_factory.mktemp("openvino")
    with environment(folder, "onnxruntime-openvino==1.24.1") as found:
        yield found


@pytest.fixture(scope="session")
def for_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    if load_runtime("ort").availability("cuda").ok:
        pytest.skip("this machine has a GPU")
    with environment(tmp_path_factory.mktemp("gpu"), "onnxruntime-gpu==1.31.1") as found:
        yield found


@pytest.fixture(scope="session")
def net(tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory) -> Variant:
    path = tmp_path_factory.mktemp("nets") / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    return graphs.variant(path)


@pytest.fixture(scope="session")
def part(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    """A net that OpenVINO's provider leaves one operator of to the CPU: Det."""
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["rectified"]),
        helper.make_node("Det", ["rectified"], ["determinants"]),
        helper.make_node("Unsqueeze", ["determinants", "axes"], ["column"]),
        helper.make_node("Add", ["rectified", "column"], ["sum"]),
        helper.make_node("Conv", ["sum", "second"], ["y"]),
    ]
    inputs = (TensorSpec("x", "float32", (1, 3, 10, 10)),)
    outputs = (TensorSpec("y", "float32", (1, 8, 6, 6)),)
    random = np.random.default_rng(0)
    weights: graphs.Arrays = {
        "first": random.normal(size=(8, 3, 3, 3)).astype(np.float32) / 5,
        "second": random.normal(size=(8, 8, 3, 3)).astype(np.float32) / 9,
        "axes": np.array([2, 3]),
    }
    model = graphs.model(nodes, inputs, outputs, weights)
    return graphs.save(model, tmp_path_factory.mktemp("part") / "part.onnx")


def test_every_operator_is_shown_to_run_there(openvino: Environment, net: Variant) -> None:
    said = openvino.python(_PROGRAMS / "prove.py", net.path, "openvino")
    assert said.returncode == 0, said.stderr
    placement = from_json(Placement, said.stdout.encode(), where="stdout")
    assert [share.provider for share in placement.shares] == ["openvino"]
    assert placement.complete
    loaded = {library.name: library.version for library in placement.libraries}
    assert loaded["libonnxruntime_providers_openvino.so"] == "1.24.1"
    assert any(name.startswith("libopenvino_intel_cpu_plugin") for name in loaded)


def test_a_part_that_is_left_to_the_cpu_is_refused(openvino: Environment, part: Variant) -> None:
    for command, provider in ((_BENCH, "openvino"), (("parity",), "cpu,openvino")):
        said = openvino.edgecnn(*command, part.path, "--threads", "1", "--provider", provider)
        assert said.returncode == 3, said.stderr
        assert "'openvino' has no kernel for a part of part.onnx: " in said.stderr
        assert "1 Det" in said.stderr
        assert "--fallback" in said.stderr


def test_fallback_stands_in_the_report(
    openvino: Environment, part: Variant, tmp_path: Path, hold_to_schema: HoldToSchema
) -> None:
    report = tmp_path / "report.json"
    options = ("--threads", "1", "--provider", "openvino", "--fallback", "--output", report)
    said = openvino.edgecnn(*_BENCH, part.path, *options)
    assert said.returncode in (0, 5), said.stderr
    assert "part.onnx: not on openvino" in said.stdout
    hold_to_schema(report.read_bytes())
    body = json.loads(report.read_bytes())["body"]
    assert body["setup"]["options"] == {"fallback": "on"}
    placement = body["variants"][0]["placement"]
    assert [each["provider"] for each in placement["shares"]] == ["openvino", "cpu"]
    assert "Det" in {each["operator"] for each in placement["elsewhere"]}


def test_coverage_is_held_to_the_measured_time(openvino: Environment, part: Variant) -> None:
    options = ("--threads", "1", "--provider", "openvino", "--min-coverage", "99.9%")
    said = openvino.edgecnn(*_BENCH, part.path, *options)
    assert said.returncode == 3, said.stdout
    assert "of the time, less than 99.9 %" in said.stderr
    assert "Det" in said.stderr
    enough = openvino.python(_PROGRAMS / "prove.py", part.path, "openvino", "0.05")
    assert from_json(Placement, enough.stdout.encode(), where="stdout").coverage >= 0.05


def test_answers_are_those_of_the_cpu(openvino: Environment, part: Variant) -> None:
    said = openvino.edgecnn(
        "parity", part.path, "--provider", "cpu,openvino", "--fallback", "--json", "--threads", "1"
    )
    assert said.returncode == 0, said.stdout + said.stderr
    (comparison,) = json.loads(said.stdout)["body"]["comparisons"]
    assert comparison["provider"] == "openvino"
    assert comparison["options"] == {"fallback": "on"}


def test_doctor_shows_it(openvino: Environment) -> None:
    told = " ".join(openvino.edgecnn("doctor").stdout.split())
    assert "ort openvino available onnxruntime-openvino 1.24.1" in told


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_without_a_gpu_there_is_a_table_and_no_session(
    for_gpus: Environment, net: Variant, provider: str
) -> None:
    for command, where in ((_BENCH, provider), (("parity",), f"cpu,{provider}")):
        said = for_gpus.edgecnn(*command, net.path, "--provider", where)
        assert said.returncode == 3, said.stderr
        assert said.stdout == ""
        told = " ".join(said.stderr.split())
        assert f"ONNX Runtime cannot run on '{provider}' here" in told
        assert "onnxruntime-gpu 1.31.1" in told
        for need in ("NVIDIA GPU", "NVIDIA driver", "for CUDA 13", "cuDNN"):
            assert need in told
        assert ("libnvinfer.so.10" in told) is (provider == "tensorrt")


@pytest.mark.parametrize("fallback", ["off", "on"])
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_engine_alone_never_ends_on_the_cpu(
    for_gpus: Environment, net: Variant, provider: str, fallback: str
) -> None:
    """Whatever was found of drivers before: this wheel itself gives a session on the CPU."""
    said = for_gpus.python(_PROGRAMS / "open_anyway.py", net.path, provider, fallback)
    assert said.returncode == 3, said.stderr
    assert said.stderr == ""
    assert "Run `edgecnn doctor`" in said.stdout
