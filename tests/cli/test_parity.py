from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import bundle as bundles
from edgecnn.reports import read_report

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand


def test_a_table_and_a_report(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    done = type_command("parity", bundle.folder, "--threads", 1)
    assert (done.code, done.err) == (0, "")
    assert "Parity on 32 golden vectors" in done.out
    assert done.out.count(" pass") == 4
    assert done.out.endswith("Every comparison is within its tolerance.\n")
    assert max(map(len, done.out.splitlines())) <= 80
    (path,) = (bundle.folder / "reports").iterdir()
    report = read_report(path)
    assert (report.kind, report.body["verdict"]["outcome"]) == ("parity", "pass")
    assert report.measured["int8.onnx"] == bundle.files["int8.onnx"].sha256


def test_the_newest_bundle_is_taken(
    make_bundle: MakeBundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle("runs/tiny")
    monkeypatch.chdir(bundle.folder.parent.parent)
    done = type_command("parity", "--variant", "int8")
    assert (done.code, done.err) == (0, "Using runs/tiny, the newest bundle.\n")
    assert "fp32" not in done.out


def test_json_is_one_document(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    done = type_command("parity", make_bundle().folder, "--json")
    document = json.loads(done.out)
    assert (done.code, done.err, document["kind"]) == (0, "", "parity")
    assert len(document["body"]["comparisons"]) == 4
    assert document["body"]["comparisons"][1]["agreement"]["sqnr_db"] is None


def test_a_failed_gate_is_exit_1(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    broken = replace(tiny_net, bias=tiny_net.bias + np.float32(0.5))
    bundle = make_bundle(files={"fp32": broken.onnx()})
    done = type_command("parity", bundle.folder)
    assert done.code == 1
    assert done.err == (
        "Error: fp32 on ort/cpu against golden: the largest error is 0.5, and 0.0001 is allowed.\n"
        "Make it anew with `edgecnn export`, or allow this much with --atol and --rtol.\n"
    )
    assert " fail" in done.out
    assert type_command("parity", bundle.folder, "--json").code == 1
    assert type_command("parity", bundle.folder, "--atol", 0.6).code == 0


def test_no_tolerance_is_exit_5(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle(changes={"fp32": {"tolerances": {}}})
    done = type_command("parity", bundle.folder, "--variant", "fp32")
    assert done.code == 5
    assert "no tolerance says what is near enough" in done.err
    assert "inconclusive" in done.out


def test_two_engines_name_themselves(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    done = type_command("parity", make_bundle().folder, "--runtime", "ort,reference")
    assert done.code == 0
    assert "int8 reference" in done.out
    assert "ort/cpu" in done.out


def test_two_files(tiny_net: TinyNet, type_command: TypeCommand, tmp_path: Path) -> None:
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    one.write_bytes(tiny_net.onnx())
    changed = replace(tiny_net, bias=tiny_net.bias + np.float32(1)).onnx()
    other.write_bytes(changed.replace(b"\x06pixels", b"\x06photos"))
    saved = tmp_path / "saved.npz"
    done = type_command("parity", one, other, "--save-outputs", saved, "--seed", 5)
    assert done.code == 1
    assert "Parity on 8 random inputs (seed 5)" in done.out
    assert "Every comparison" not in done.out
    assert done.err.startswith("other.onnx calls its inputs otherwise: pixels into photos.\n")
    assert "edgecnn export" not in done.err
    assert "Look at what made them" in done.err
    with np.load(saved) as arrays:
        assert arrays["input.pixels"].shape == (8, 8, 8, 3)


def test_files_on_inputs_of_ones_own(
    tiny_net: TinyNet, type_command: TypeCommand, tmp_path: Path
) -> None:
    one, other, inputs = tmp_path / "one.onnx", tmp_path / "other.onnx", tmp_path / "real.npz"
    one.write_bytes(tiny_net.onnx())
    other.write_bytes(tiny_net.onnx(batch=1))
    np.savez(inputs, pixels=tiny_net.images[:5])
    done = type_command("parity", one, other, "--inputs", inputs, "--atol", 1e-4)
    assert (done.code, done.err) == (0, "")
    assert "Parity on 5 of real.npz" in done.out
    report = type_command("parity", one, other, "--input-shape", "pixels=1x8x8x3", "--json")
    body = json.loads(report.out)["body"]
    assert (body["inputs"], body["seed"], body["images"]) == ("random inputs", 0, 8)
    wrong = type_command("parity", one, other, "--input-shape", "pixels=1x8x8x4")
    assert (wrong.code, wrong.out) == (2, "")
    assert "cannot be 1x8x8x4" in wrong.err


def test_a_disk_that_takes_no_report(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    (bundle.folder / "reports").write_text("a file where a folder should be")
    done = type_command("parity", bundle.folder)
    assert done.code == 0
    assert done.err.startswith("The report is not kept: ")


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["{bundle}", "--variant", "int4"], 2, "has no variant 'int4'; it has fp32, int8."),
        (["{bundle}", "--provider", "cuda9"], 3, "cuda9"),
        (["{bundle}", "--runtime", "ortt"], 2, "There is no runtime 'ortt'."),
        (["{bundle}", "{bundle}", "--against", "fp32"], 2, "give one"),
        (["{bundle}", "--atol", "-1"], 2, "-1.0 is not in the range"),
        (["{bundle}", "nowhere.onnx"], 2, "There is no file nowhere.onnx."),
        (["{bundle}", "--against", "nowhere"], 2, "nowhere does not exist."),
        (["nowhere"], 2, "nowhere does not exist."),
        (["nowhere.onnx"], 2, "There is no file nowhere.onnx."),
        (["{bundle}/fp32.onnx"], 2, "There is nothing to compare"),
        (["{bundle}/manifest.json", "--runtime", "ort,reference"], 2, "is no ONNX file"),
    ],
)
def test_errors_say_what_and_end_rightly(
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    arguments: list[str],
    code: int,
    problem: str,
) -> None:
    folder = make_bundle().folder
    done = type_command("parity", *(part.format(bundle=folder) for part in arguments))
    assert (done.code, done.out) == (code, "")
    assert problem in done.err
    assert "Traceback" not in done.err


def test_a_damaged_bundle(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    folder = make_bundle().folder
    (folder / bundles.GOLDEN).write_bytes(b"cut short")
    done = type_command("parity", folder)
    assert done.code == 2
    assert "golden.npz is not the file that was written (its SHA-256 differs)." in done.err
