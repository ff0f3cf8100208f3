"""The golden vectors on CPUs that are not at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.bundle import Bundle
from edgecnn.emulation import emulator_for, parity_as, raise_unless_alike
from edgecnn.emulation.run import outputs_as
from edgecnn.errors import RuntimeCrashed, UnavailableError
from edgecnn.reports import read_report
from edgecnn.spec import Tolerance
from tests.conftest import CONTRACT, MakeBundle, TypeCommand
from tests.saturating import bright_images, needs_qemu, saturating_net


@pytest.fixture
def promising(make_bundle: MakeBundle) -> Bundle:
    """A bundle whose int8 variants promise equal bits: `int8` keeps that, `fp32` does not."""
    promise = {"tolerances": {"logits": Tolerance(sqnr_db=-200.0, bit_exact=True)}}
    return make_bundle(
        files={"int8": saturating_net(64), "fp32": saturating_net()},
        changes={"int8": promise, "fp32": promise},
    )


@needs_qemu
def test_a_promise_is_held_on_another_cpu(promising: Bundle, type_command: TypeCommand) -> None:
    done = type_command("parity", promising.folder, "--as-cpu", "haswell", "--threads", 1)
    assert done.code == 1
    assert "32 golden vectors on other CPUs, under qemu" in done.out
    assert "fp32 as Haswell on ort/cpu against own golden:" in done.err
    assert "32 images are not equal bit for bit." in done.err
    assert max(map(len, done.out.splitlines())) <= 80
    (path,) = (promising.folder / "reports").iterdir()
    report = read_report(path)
    assert report.kind == "parity-as-cpu"
    assert set(report.measured) == {"golden.npz", "fp32.onnx", "int8.onnx"}
    broken, kept = report.body["variants"]
    assert (kept["cpu"], kept["model"], kept["promised"]) == ("avx2", "Haswell", True)
    assert (kept["outcome"], kept["equal_here"], kept["equal_expected"]) == ("pass", 32, 32)
    assert (kept["other_labels"], kept["largest_error"]) == (0, 0)
    assert broken["outcome"] == "fail"
    assert broken["equal_here"] == broken["equal_expected"] < 32
    assert broken["largest_error"] > 0


@needs_qemu
def test_without_avx2_nothing_saturates(promising: Bundle) -> None:
    # MLAS has a saturating kernel for SSE4.1, too, and builds it for Windows only.
    found = parity_as(promising, ["nehalem"], ["fp32"], threads=1)
    assert [each.equal_expected for each in found.variants] == [32]
    assert found.verdict.outcome == "pass"
    raise_unless_alike(found)


@needs_qemu
def test_a_process_that_takes_too_long_is_told(promising: Bundle) -> None:
    found = parity_as(promising, ["haswell"], ["int8"], threads=1, limit_seconds=0.01)
    (row,) = found.variants
    assert (row.outcome, found.verdict.outcome) == ("crashed", "fail")
    assert row.problem.startswith("'int8' as Haswell: The worker hung: no answer within 0.01 s.")


@needs_qemu
def test_a_process_that_crashes_is_told(promising: Bundle) -> None:
    emulator = emulator_for("haswell")
    broken = replace(emulator, launcher=(*emulator.launcher[:2], "NoSuchCpu"))
    with pytest.raises(RuntimeCrashed, match="unable to find CPU model 'NoSuchCpu'"):
        outputs_as(broken, CONTRACT, promising.locate("int8"), bright_images(1))


def test_what_is_meant_for_this_cpu_alone_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "SkylakeX")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1024")
    monkeypatch.setenv("EDGECNN_TEST", "kept")
    try:
        environment = emulator_for("haswell").environment
    except UnavailableError as error:
        pytest.skip(error.problem)
    assert not [key for key in environment if key.startswith("OPENBLAS_")]
    assert environment["EDGECNN_TEST"] == "kept"
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("pentium", 2, "No CPU is called 'pentium'.\nUse nehalem, sandybridge, haswell."),
        ("icelake", 2, "qemu cannot be a CPU such as 'icelake' (x86-64 with VNNI)."),
        ("aarch64", 3, "'aarch64' cannot be emulated with this Python"),
        ("arm64", 3, "a 64-bit Arm needs a Python and an onnxruntime of its own."),
    ],
)
def test_what_cannot_be_emulated_is_one_sentence(
    promising: Bundle,
    type_command: TypeCommand,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
    text: str,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    done = type_command("parity", promising.folder, "--as-cpu", name)
    assert (done.code, done.out) == (code, "")
    assert text in done.err


def test_without_qemu_it_says_how_to_get_it(
    promising: Bundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = type_command("parity", promising.folder, "--as-cpu", "haswell")
    assert done.code == 3
    assert done.err == (
        "Error: 'haswell' is emulated by qemu-x86_64, which is missing.\n"
        "Install it with `sudo apt-get install qemu-user-static`.\n"
    )


def test_it_takes_a_bundle_and_nothing_that_says_how_to_compare(
    promising: Bundle, type_command: TypeCommand
) -> None:
    done = type_command("parity", promising.folder, "--as-cpu", "haswell", "--atol", 1)
    assert (done.code, "leave --atol out" in done.err) == (2, True)
    done = type_command("parity", promising.folder / "int8.onnx", "--as-cpu", "haswell")
    assert (done.code, "name a bundle" in done.err) == (2, True)
