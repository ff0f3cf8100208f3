"""ONNX Runtime's options: each changes something where it is taken, and is refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import EdgeCNNError, InputError, UnavailableError
from edgecnn.runtime import Target, load_runtime, open_on, open_session
from edgecnn.spec import Variant
from tests.conftest import TinyNet
from tests.runtimes import graphs


@pytest.fixture
def net(tiny_net: TinyNet, tmp_path: Path) -> Variant:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    return graphs.variant(path)


@pytest.mark.parametrize(
    ("option", "where"),
    [
        ({"cuda_graph": "on"}, "cuda"),
        ({"io_binding": "pinned"}, "cuda"),
        ({"cudnn_conv_algo_search": "heuristic"}, "cuda"),
        ({"int8": "force"}, "cuda"),
    ],
)
def test_what_changes_nothing_on_the_cpu_is_refused(
    net: Variant, option: dict[str, str], where: str
) -> None:
    with pytest.raises(InputError, match=rf"changes nothing on 'cpu'.*{where}"):
        open_session(net, options=option)


def test_what_changes_nothing_on_a_gpu_is_refused(net: Variant) -> None:
    for option in ({"spinning": "off"}, {"arena": "off"}):
        with pytest.raises(InputError, match=r"changes nothing on 'cuda'.*cpu"):
            _open_anyway(net, "cuda", option)


def test_choices_are_those_that_are_taken(net: Variant) -> None:
    choices = load_runtime("ort").choices  # type: ignore[attr-defined]
    assert "cuda_graph" in choices("cuda")
    assert choices("cuda")["io_binding"] == ("off", "on", "pinned")
    for name, values in choices("cpu").items():
        for value in values:
            open_session(net, threads=1, options={name: value}).close()


def test_tf32_is_refused_where_there_is_none(net: Variant) -> None:
    with pytest.raises(UnavailableError, match="'tf32'"):
        open_session(net, options={"precision": "tf32"})


def test_bound_buffers_hold_the_answers(net: Variant, tiny_net: TinyNet) -> None:
    batches = [{"pixels": tiny_net.images[start : start + 3]} for start in (0, 3)]
    with open_session(net, threads=1, options={"io_binding": "on"}) as session:
        calls = [session.prepare(batch) for batch in batches]
        for call in (*calls, *calls):
            call()
        for call, batch in zip(calls, batches, strict=True):
            _, outputs = call.held  # type: ignore[attr-defined]
            expected = session.run(batch)["logits"]
            np.testing.assert_array_equal(outputs["logits"].numpy(), expected)


def test_batch_of_one_is_fixed(net: Variant, tiny_net: TinyNet) -> None:
    with open_session(net) as plain, open_session(net, options={"batch": "1"}) as fixed:
        assert plain.inputs[0].shape[0] == "N"
        assert fixed.inputs[0].shape[0] == 1
        one = {"pixels": tiny_net.images[:1]}
        np.testing.assert_array_equal(fixed.run(one)["logits"], plain.run(one)["logits"])
        with pytest.raises(InputError, match="shape"):
            fixed.run({"pixels": tiny_net.images[:2]})


@pytest.mark.parametrize("known", ["by its name", "by its operators"])
def test_int8_on_cuda_is_refused_unless_forced(
    tiny_net: TinyNet, tmp_path: Path, known: str
) -> None:
    path = tmp_path / "net.onnx"
    by_name = known == "by its name"
    path.write_bytes(tiny_net.onnx("fp32" if by_name else "int8"))
    variant = Variant("net", "int8" if by_name else "fp32", "onnx", (str(path),))
    refusal = _refusal(variant, "cuda", {})
    assert "quantized to int8" in refusal.problem
    assert "fp16" in refusal.remedy
    assert "tensorrt" in refusal.remedy
    assert "--option int8=force" in refusal.remedy
    assert refusal.exit_code == 3


def test_placement_on_the_cpu(
    net: Variant, tiny_net: TinyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    empty = tmp_path / "temporary"
    empty.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(empty))
    with open_session(net, threads=1) as session:
        found = session.placement({"pixels": tiny_net.images[:64]})
    assert found is not None
    assert found.provider == "cpu"
    assert found.complete
    assert found.coverage == 1
    (share,) = found.shares
    assert share.operators >= 4  # what was fused counts as one
    assert share.time_ns > 0
    own = [each for each in found.libraries if "onnxruntime" in each.path]
    assert own
    assert {each.version for each in own} == {onnxruntime.__version__}
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
        ("migraphx", "onnxruntime-migraphx"),
        ("webgpu", "onnxruntime-webgpu"),
        ("xnnpack", "No published wheel has it"),
        ("dnnl", "No published wheel has it"),
        ("DmlExecutionProvider", "onnxruntime-directml.*Windows"),
        ("abacus", "knows none of that name"),
    ],
)
def test_provider_that_the_wheel_lacks(net: Variant, provider: str, said: str) -> None:
    with pytest.raises(UnavailableError, match=rf"(?i)has no provider .*{said}") as refusal:
        open_session(net, provider=provider)
    assert refusal.value.exit_code == 3
    assert "--provider cpu" in refusal.value.remedy


def test_plug_in_is_no_second_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "onnxruntime_qnn-2.7.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-qnn\nVersion: 2.7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "are installed together" in load_runtime("ort").availability("cpu").reason
    (record / "top_level.txt").write_text("onnxruntime_qnn\n")
    assert load_runtime("ort").availability("cpu").ok


def _open_anyway(variant: Variant, provider: str, options: dict[str, str]) -> None:
    """Open a session as if the provider were to be had."""
    open_on(Target(load_runtime("ort"), provider, {}), variant, threads=1, options=options)


def _refusal(variant: Variant, provider: str, options: dict[str, str]) -> EdgeCNNError:
    with pytest.raises(EdgeCNNError) as refusal:
        _open_anyway(variant, provider, options)
    return refusal.value
