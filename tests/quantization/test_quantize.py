"""`edgecnn quantize`: what is written, on what it is measured, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn import bundle as bundles
from edgecnn.agreement import parity
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.cli._int8 import parse_points, print_int8
from edgecnn.data import Dataset, Split
from edgecnn.errors import BundleError, DataError, InputError
from edgecnn.golden import expected, golden
from edgecnn.graph import clean
from edgecnn.predictor import load
from edgecnn.quantization import quantize
from tests.quantization.conftest import MakeFp32, contents

BRIEFLY = 0.05


def test_int8_is_written_measured_and_recorded(
    make_fp32: MakeFp32, tiny_data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_fp32()
    notes: list[str] = []
    report = quantize(
        bundle, data=tiny_data, max_drop=0.2, duration=BRIEFLY, threads=1, note=notes.append
    )
    after = open_bundle(bundle.folder)
    int8 = after.variant("int8")
    assert (int8.precision, int8.preprocessing, int8.batch) == ("int8", True, "dynamic")
    assert int8.parent == after.parent("fp32.onnx")
    assert int8.made_by == "edgecnn quantize"
    assert "40 training images of tiny" in int8.settings["calibration"]
    assert int8.verdict == report.verdict
    assert int8.tolerances == report.tolerances
    assert report.bit_exact
    assert report.uneven_operators == ()
    assert report.test_images == 120
    assert report.gate is not None
    assert report.gate.outcome == "pass"
    assert "120 test images can rule out" in notes[0]
    print_int8(report)
    assert f"Verdict: {report.verdict.reasons[0]}" in capsys.readouterr().out
    for side, name in ((report.fp32, "fp32"), (report.int8, "int8")):
        with load(after, variant=name, threads=1) as predictor:
            answers = predictor.run(tiny_data.test.images).argmax(axis=1)
        assert side.correct == (answers == tiny_data.test.labels).sum()
        assert side.size == after.files[f"{name}.onnx"].size
    assert parity(after, threads=1).verdict.outcome == "pass"
    with load(after, variant="int8", threads=1) as predictor:
        outputs = predictor.run(golden(after).images)
    np.testing.assert_array_equal(expected(after, int8).outputs["logits"], outputs)


def test_pixels_go_straight_into_the_quantized_core(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    bundle = make_fp32()
    quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1)
    after = open_bundle(bundle.folder)
    int8 = clean.from_bytes(after.read("int8.onnx"), where="int8")
    assert str(int8.graph.inputs[0].shape) == "[N,8,8,3]"
    first = [node.op_type for node in int8.graph if (node.name or "").startswith("edgecnn/")]
    assert first == ["Transpose"]
    assert "QuantizeLinear" not in [node.op_type for node in list(int8.graph)[:2]]


@pytest.mark.parametrize(
    ("form", "made_by"),
    [({"preprocessing": False}, "edgecnn quantize"), ({"batch": 2}, "edgecnn quantize")],
    ids=["nchw", "batch of 2"],
)
def test_int8_takes_the_form_of_what_it_is_made_from(
    make_fp32: MakeFp32, tiny_data: Dataset, form: dict[str, Any], made_by: str
) -> None:
    bundle = make_fp32(**form)
    quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1)
    after = open_bundle(bundle.folder)
    fp32, int8 = after.variant("fp32"), after.variant("int8")
    assert (int8.preprocessing, int8.batch) == (fp32.preprocessing, fp32.batch)
    assert int8.made_by == made_by
    assert parity(after, threads=1).verdict.outcome == "pass"


def test_what_runs_in_float_is_named_and_promises_nothing(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    def end_in_float(model: ir.Model) -> None:
        [logits] = model.graph.outputs
        node = ir.node("Erf", [logits], name="last")
        node.outputs[0].shape, node.outputs[0].type = logits.shape, logits.type
        node.outputs[0].name, logits.name = "logits", "before"
        model.graph.append(node)
        model.graph.outputs[:] = node.outputs

    report = quantize(make_fp32(change=end_in_float), data=tiny_data, duration=BRIEFLY, threads=1)
    assert report.work.float_operators == ("Erf",)
    assert report.largest_pair_sum <= 32_640
    assert not report.bit_exact


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ({"calibration_samples": 0}, "--calibration-samples"),
        ({"calibration_samples": 81}, "--calibration-samples 40"),
        ({"max_drop": -0.1}, "--max-drop"),
        ({"max_drop": 1.1}, "--max-drop"),
        # An empty variable of a shell is no wish for the default.
        ({"cpu": ""}, "auto"),
        ({"scheme": ""}, "fastest"),
        ({"calibration": ""}, "minmax"),
    ],
)
def test_impossible_numbers_are_refused_with_the_flag(
    make_fp32: MakeFp32, tiny_data: Dataset, arguments: dict[str, Any], flag: str
) -> None:
    bundle = make_fp32()
    before = contents(bundle.folder)
    with pytest.raises(InputError) as caught:
        quantize(bundle, data=tiny_data, **arguments)
    assert flag in str(caught.value)
    assert contents(bundle.folder) == before


def test_a_bundle_without_data_is_told_which_flag_brings_it(make_fp32: MakeFp32) -> None:
    bundle = make_fp32()
    bare = Bundle(bundle.folder, replace(bundle.manifest, data=None))
    with pytest.raises(DataError, match="no data of its own") as caught:
        quantize(bare)
    assert "--data" in caught.value.remedy


def test_without_training_images_nothing_is_calibrated(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    empty = Split(tiny_data.train.images[:0], tiny_data.train.labels[:0])
    with pytest.raises(InputError, match="0 training images") as caught:
        quantize(make_fp32(), data=replace(tiny_data, train=empty))
    assert "--data" in caught.value.remedy


def test_only_fp32_is_quantized_and_only_what_is_there(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    bundle = make_fp32()
    with pytest.raises(BundleError, match="no variant 'int8'"):
        quantize(bundle, variant="int8", data=tiny_data)
    int8 = replace(bundle.variant("fp32"), name="int8", precision="int8", files=("int8.onnx",))
    bundle = bundles.extend(bundle, {"int8.onnx": bundle.read("fp32.onnx")}, int8)
    with pytest.raises(InputError, match="only fp32"):
        quantize(bundle, variant="int8", data=tiny_data)


def test_what_fp32_answers_wrongly_is_not_calibrated_in_silence(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    bundle = make_fp32()
    path = bundle.folder / "fp32.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="SHA-256"):
        quantize(bundle, data=tiny_data)


def test_fp32_replaced_meanwhile_is_noticed(make_fp32: MakeFp32, tiny_data: Dataset) -> None:
    bundle = make_fp32()

    def replace_fp32(what: str, share: float) -> None:
        if what.startswith("Calibrating"):
            content = bundle.read("fp32.onnx")
            model = clean.from_bytes(content, where="fp32")
            model.graph.name = "another"
            files = {"fp32.onnx": clean.to_bytes(model)}
            bundles.extend(bundle, files, bundle.variant("fp32"))

    with pytest.raises(BundleError, match="changed by another process"):
        quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1, progress=replace_fp32)
    after = open_bundle(bundle.folder)
    assert [variant.name for variant in after.manifest.variants] == ["fp32"]
    assert not (bundle.folder / "int8.onnx").exists()


@pytest.mark.parametrize(
    ("text", "share"), [("0.5pp", 0.005), ("2 pp", 0.02), (" .25pp ", 0.0025), ("0pp", 0.0)]
)
def test_points_are_read(text: str, share: float) -> None:
    assert parse_points(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0.5", "0.5%", "pp", "-1pp", "0.5pps", "nanpp", ""])
def test_what_carries_no_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"0\.5pp"):
        parse_points(text)


CHILD = """
import resource, signal, sys
limit, folder, *arguments = sys.argv[1:]
if int(limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
from edgecnn.cli import main
main(["quantize", folder, "--threads", "1", *arguments])
"""


def child(bundle: Bundle, *arguments: str, limit: int = 0) -> subprocess.Popen[str]:
    temporary = bundle.folder.parent / "temporary"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(limit), str(bundle.folder), *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_changes_nothing(make_fp32: MakeFp32) -> None:
    bundle = make_fp32()
    before = contents(bundle.folder)
    process = child(bundle, limit=200)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, ""), errors
    assert "could not be written" in errors
    assert contents(bundle.folder) == before


def test_ctrl_c_in_the_middle_changes_nothing(make_fp32: MakeFp32) -> None:
    bundle = make_fp32()
    before = contents(bundle.folder)
    process = child(bundle)
    temporary = bundle.folder.parent / "temporary"
    deadline = time.monotonic() + 60
    while not list(temporary.glob("edgecnn-*/int8.onnx")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, ""), errors
    assert contents(bundle.folder) == before
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(("drop", "code"), [("20pp", 0), ("0pp", 5)])
def test_the_exit_code_is_the_gates_and_json_is_one_document(
    make_fp32: MakeFp32, drop: str, code: int
) -> None:
    bundle = make_fp32()
    process = child(bundle, "--json", "--max-drop", drop, "--duration", "0.05")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    report = json.loads(output)
    assert report["kind"] == "quantize"
    assert report["body"]["gate"]["outcome"] == ("pass" if code == 0 else "inconclusive")
    assert report["measured"] == {"int8.onnx": report["body"]["sha256"]}
    assert "test images can rule out" in errors
    assert open_bundle(bundle.folder).variant("int8").verdict is not None
    assert len(list((bundle.folder / "reports").iterdir())) == 1


def test_the_fastest_scheme_is_measured_among_those_that_answer_alike(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    bundle = make_fp32()
    notes: list[str] = []
    report = quantize(
        bundle,
        data=tiny_data,
        scheme="fastest",
        calibration="minmax",
        duration=BRIEFLY,
        threads=1,
        note=notes.append,
    )
    assert report.fastest is not None
    tried = [each.scheme for each in report.fastest.measured]
    assert tried == ["u8s8-7bit", "u8u8"]
    assert report.plan is not None
    assert report.plan.scheme.name == report.fastest.scheme
    assert any("Not tried: s8s8, whose answers may differ on" in note for note in notes)


def test_ranges_and_corrections_are_chosen_on_training_images(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    report = quantize(make_fp32(), data=tiny_data, duration=BRIEFLY, threads=1)
    assert report.choices is not None
    plans = [candidate.plan for candidate in report.choices.candidates]
    assert [plan.calibration for plan in plans[:3]] == ["minmax", "percentile-99.999", "mse"]
    assert plans[3].corrections == ("gptq", "bias")
    assert report.choices.candidates[0].distance.images == 40
    assert report.plan == report.choices.plan


def test_int8_for_some_cpus_stands_beside_the_one_for_all(
    make_fp32: MakeFp32, tiny_data: Dataset
) -> None:
    bundle = make_fp32()
    for cpu in (None, "vnni,arm64"):
        quantize(
            open_bundle(bundle.folder),
            data=tiny_data,
            cpu=cpu,
            calibration="minmax",
            duration=BRIEFLY,
            threads=1,
        )
    after = open_bundle(bundle.folder)
    assert after.variant("int8").made_by == "edgecnn quantize"
    assert after.variant("int8-u8s8").made_by == "edgecnn quantize --cpu vnni,arm64"
