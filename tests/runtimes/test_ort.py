"""ONNX Runtime: strictly what was asked for, quietly, and with one wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgecnn import shelves
from edgecnn.errors import InputError, UnavailableError
from edgecnn.runtime import TensorSpec, load_runtime, open_session
from edgecnn.spec import Variant
from tests.conftest import TinyNet
from tests.runtimes import graphs


@pytest.fixture
def net(tiny_net: TinyNet, tmp_path: Path) -> Variant:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    return graphs.variant(path)


def test_prepared_call_is_the_engines_own(net: Variant, tiny_net: TinyNet) -> None:
    import onnxruntime

    with open_session(net) as session:
        call = session.prepare({"pixels": tiny_net.images[:1]})
    assert isinstance(call, partial)
    assert isinstance(call.func.__self__, onnxruntime.InferenceSession)  # type: ignore[attr-defined]
    assert call.func.__name__ == "run"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads as Linux does")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_as_many_threads_as_asked(net: Variant, threads: int) -> None:
    tasks = Path("/proc/self/task")
    open_session(net, threads=1).close()
    before = len(list(tasks.iterdir()))
    with open_session(net, threads=threads):
        assert len(list(tasks.iterdir())) - before == threads - 1


@pytest.mark.parametrize(
    "options",
    [
        {"optimization": "extended"},
        {"optimization": "basic"},
        {"optimization": "disable"},
        {"spinning": "off"},
        {"arena": "off"},
        {"io_binding": "on"},
        {"precision": "fp32"},
    ],
)
def test_options(net: Variant, tiny_net: TinyNet, options: dict[str, str]) -> None:
    pixels = {"pixels": tiny_net.images[:4]}
    with open_session(net) as plain, open_session(net, options=options) as other:
        found, expected = other.run(pixels)["logits"], plain.run(pixels)["logits"]
    np.testing.assert_allclose(found.astype("f8"), expected.astype("f8"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"optimisation": "all"}, {"optimization": "most"}])
def test_unknown_options_are_refused(net: Variant, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"optimi[sz]ation.*(It has|Use) "):
        open_session(net, options=options)


def test_provider_that_leaves_work_to_the_cpu_is_refused(
    net: Variant, capfd: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    others = set(onnxruntime.get_available_providers()) - {"CPUExecutionProvider"}
    if "AzureExecutionProvider" not in others:
        pytest.skip("this wheel has no provider that computes nothing itself")
    with pytest.raises(UnavailableError, match="azure"):
        open_session(net, provider="azure")
    assert capfd.readouterr() == ("", "")


def test_unknown_provider_names_those_of_the_wheel(net: Variant) -> None:
    with pytest.raises(UnavailableError, match=r"onnxruntime\S* \d.*it has .*cpu"):
        open_session(net, provider="abacus")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_gpu_is_refused_without_one(
    net: Variant, provider: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if load_runtime("ort").availability(provider).ok:
        pytest.skip(f"{provider} works here")
    with pytest.raises(UnavailableError, match=provider) as refusal:
        open_session(net, provider=provider)
    assert refusal.value.exit_code == 3
    assert refusal.value.remedy
    rows = {need.name: need for need in refusal.value.requirements}
    assert {f"ONNX Runtime with {provider}", "NVIDIA GPU", "NVIDIA driver"} <= rows.keys()
    assert all(need.needed and need.found for need in rows.values())
    assert not all(need.ok for need in rows.values())
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_cuda_computes_in_float32(net: Variant, tiny_net: TinyNet) -> None:
    with open_session(net, provider="cuda") as session:
        assert session.provider == "cuda"
        logits = session.run({"pixels": tiny_net.images})["logits"].astype("f8")
    exact = tiny_net.exact(tiny_net.images)
    assert np.abs(logits - exact).max() <= 1e-5 * np.abs(exact).max()


def test_two_wheels_are_refused(net: Variant, tmp_path: Path) -> None:
    (here,) = load_runtime("ort").availability("cpu").versions
    other = "onnxruntime-gpu" if here == "onnxruntime" else "onnxruntime"
    metadata = tmp_path / f"{other.replace('-', '_')}-1.31.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {other}\nVersion: 1.31.1\n")
    for provider, extra in (("cpu", "cpu"), ("cuda", "cuda")):
        told = _try(net, provider, PYTHONPATH=str(tmp_path))
        assert f"{other} 1.31.1" in told
        assert "are installed together" in told
        assert f"pip install 'edgecnn[{extra}]'" in told
        assert f"pip uninstall -y {' '.join(sorted((here, other)))} && " in told


def test_broken_wheel_is_refused(net: Variant, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()  # what uninstalling the other wheel leaves behind
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    told = _try(net, "cpu", PYTHONPATH=str(tmp_path))
    assert "cannot be imported" in told
    assert "pip uninstall -y onnxruntime" in told


@pytest.mark.parametrize("chosen", [None, "0"])
def test_telemetry_is_off_unless_the_user_chose(
    net: Variant, tmp_path: Path, chosen: str | None
) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    extra = {} if chosen is None else {"ORT_DISABLE_TELEMETRY": chosen}
    program = (
        "import os, sys; from edgecnn.runtime import *; from edgecnn.runtime import plain_file;"
        "open_session(plain_file(sys.argv[1])); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    said = _python(program, net, HOME=str(home), TMPDIR=str(temporary), **extra)
    assert said.stdout.strip() == (chosen or "1"), said.stderr
    if chosen is None:
        assert [*home.iterdir(), *temporary.iterdir()] == []


def test_says_nothing_itself_where_the_user_imported_it_first(tmp_path: Path) -> None:
    inputs, outputs = TensorSpec("x", "float32", ("N",)), TensorSpec("y", "float32", (2, 3))
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    shape: graphs.Arrays = {"shape": np.array([2, 3])}
    reshape = graphs.model([node], (inputs,), (outputs,), shape)
    program = (
        "import sys, onnxruntime, numpy; from edgecnn.errors import RuntimeCrashed;"
        "from edgecnn.runtime import open_session, plain_file\n"
        "try: open_session(plain_file(sys.argv[1])).run({'x': numpy.zeros(5, 'float32')})\n"
        "except RuntimeCrashed as error: print(error)"
    )
    variant = graphs.save(reshape, tmp_path / "reshape.onnx")
    said = _python(program, variant, ORT_DISABLE_TELEMETRY="1")
    assert "failed in a run" in said.stdout
    assert said.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="ELF files")
def test_libraries_that_a_library_needs() -> None:
    elf = shelves.load_file(shelves.shelf("runtimes") / "ort" / "elf.py")
    assert any(name.startswith("libc.") for name in elf.needed_libraries(Path(sys.executable)))
    assert elf.needed_libraries(Path(__file__)) == []


def _try(net: Variant, provider: str, **environment: str) -> str:
    program = (
        "import sys; from edgecnn.errors import UnavailableError;"
        "from edgecnn.runtime import open_session, plain_file\n"
        f"try: open_session(plain_file(sys.argv[1]), provider={provider!r})\n"
        "except UnavailableError as error: print(error); sys.exit(error.exit_code)"
    )
    said = _python(program, net, **environment)
    assert said.returncode == 3, said.stderr
    assert said.stderr == ""
    return said.stdout


def _python(program: str, net: Variant, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    return subprocess.run(
        [sys.executable, "-c", program, net.files[0]],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
