"""Parity tensor by tensor on the page: every one is drawn, and where the error grows is said."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from edgecnn.quantization import QuantizeReport
from edgecnn.quantization.tensors import TensorLoss
from edgecnn.reporting.charts import NARROW, WIDE, svg
from edgecnn.reporting.contract import Figure
from edgecnn.reporting.material import collect
from edgecnn.reporting.page import build, render
from edgecnn.reporting.sections import tensors
from tests.conftest import MakeBundle
from tests.reporting.conftest import keep
from tests.reporting.invented import LONG
from tests.reporting.test_verdicts import put

LOSSES = (
    TensorLoss("a", LONG, "Conv", True, 40.0, 0.01, 4.0),
    TensorLoss("b", "conv2", "Conv", True, 38.5, 0.02, 4.0),
    TensorLoss("c", "gate", "HardSigmoid", False, 26.25, 0.125, 1.0),
    TensorLoss("d", "", "Mul", False, math.inf, 0.0, 0.0),
)


def test_every_tensor_is_drawn_and_listed(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    put(bundle, "quantize", "2026-01-01T00:00:00.000Z")
    assert tensors.build(collect(bundle)) is None
    kept = collect(bundle).newest(QuantizeReport)
    assert kept is not None
    keep("quantize", replace(kept.body, tensors=LOSSES), bundle)
    material = collect(bundle)
    section = tensors.build(material)
    assert section is not None
    figure = section.values["figure"]
    assert isinstance(figure, Figure)
    assert figure.table
    assert figure.table.rows[1] == ("conv2", "Conv", "8 bits", "2", "38.5", "0.02", "4")
    assert [row[4] for row in figure.table.rows] == ["40.0", "38.5", "26.2", "∞"]
    for width in (WIDE, NARROW):
        drawn = svg(figure.chart(width), figure.name, width, figure.alternative)
        assert float(ElementTree.fromstring(drawn).attrib["width"]) <= width + 1
        assert "3: gate, 26.2 dB" in drawn
    assert "tensor by tensor" in render(material, build(material), bundle.folder)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (LOSSES, "gate lies farthest from fp32, at 26.2 dB (SQNR); the ratio falls most from "
         "conv2 to gate, by 12.2 dB."),
        (LOSSES[:2], "conv2 lies farthest from fp32, at 38.5 dB (SQNR); nowhere does the ratio "
         "fall by 3 dB from a tensor to the next."),
    ],
)  # fmt: skip
def test_where_the_error_grows_is_said(losses: tuple[TensorLoss, ...], said: str) -> None:
    assert tensors.where_it_begins(losses) == said
