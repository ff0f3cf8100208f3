"""`edgecnn sensitivity`: the table, the report that is kept, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecnn.bundle import Bundle
from edgecnn.quantization.sensitivity import SensitivityReport
from edgecnn.reports import read_body, read_report
from tests.conftest import HoldToSchema, MakeBundle, TypeCommand
from tests.quantization.conftest import MakeFp32, contents


def test_the_table_shows_what_float_would_cost(
    make_fp32: MakeFp32, type_command: TypeCommand, hold_to_schema: HoldToSchema
) -> None:
    bundle = make_fp32()
    before = contents(bundle.folder)
    done = type_command(
        "sensitivity", bundle.folder, "--threads", 1, "--duration", "0.1s", "--top", 2
    )
    assert done.code == 0, done.err
    assert "each rounded alone, on 40 training images of tiny" in done.out
    assert "more hurt less; --top 0 shows them." in done.out
    assert "All together:" in done.out
    assert contents(bundle.folder) == before
    found = kept(bundle, hold_to_schema)
    assert len(re.findall(r" \d\.\d{4} ±\d\.\d{4} ", done.out)) == 2
    check_layers(found)


def kept(bundle: Bundle, hold_to_schema: HoldToSchema) -> SensitivityReport:
    """Read the one report that was kept."""
    [path] = (bundle.folder / "reports").glob("*.json")
    hold_to_schema(path.read_bytes())
    report = read_report(path)
    assert report.measured == {"fp32.onnx": bundle.files["fp32.onnx"].sha256}
    return read_body(report, SensitivityReport, where=str(path))


def check_layers(found: SensitivityReport) -> None:
    """Hold the layers and their times against one another."""
    assert (found.images, found.calibration_images, found.threads) == (40, 40, 1)
    known = {layer.layer for layer in found.layers}
    for effect in found.effects:
        assert effect.in_float
        assert set(effect.in_float) <= known
    [conv] = [layer for layer in found.layers if layer.layer.startswith("Conv")]
    assert conv.fp32 is not None
    assert conv.int8 is not None
    assert (conv.fp32.leads, conv.int8.leads) == (True, True)
    assert conv.int8.operator.endswith("QLinearConv")
    cost = conv.fp32.seconds - conv.int8.seconds
    assert found.cost_seconds((conv.layer,)) == pytest.approx(cost)
    assert found.fp32_seconds > conv.fp32.seconds


def test_what_ranks_nothing_is_refused(
    make_fp32: MakeFp32,
    make_bundle: MakeBundle,
    two_headed: Bundle,
    type_command: TypeCommand,
    tmp_path: Path,
) -> None:
    few = type_command("sensitivity", make_fp32().folder, "--selection-samples", 3)
    assert (few.code, "--selection-samples 16 or more" in few.err) == (2, True)
    quantized = type_command("sensitivity", make_bundle("both").folder, "--variant", "int8")
    assert (quantized.code, "is int8 onnx" in quantized.err) == (2, True)
    nowhere = type_command("sensitivity", two_headed.folder)
    assert (nowhere.code, "has no data of its own" in nowhere.err) == (2, True)
