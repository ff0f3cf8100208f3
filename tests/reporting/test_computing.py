"""How an engine computed stands wherever its figures do, if it is not how it does by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import edgecnn
from edgecnn.agreement import parity
from edgecnn.reporting.markdown import bench_summary, eval_summary
from edgecnn.reporting.material import collect
from edgecnn.reporting.sections import latency, overview
from edgecnn.reporting.tables import side_by_side
from edgecnn.reports import make_report, write_report
from tests.reporting.conftest import keep
from tests.reporting.invented import timed

if TYPE_CHECKING:
    from tests.conftest import MakeBundle

DOUBLE = {"precision": "float64"}


def test_accuracy_and_parity(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    found = edgecnn.evaluate(bundle, runtime="reference", options=DOUBLE)
    text = eval_summary(make_report("eval", found, found.measured), found)
    assert "images of tiny, with reference/cpu in float64." in text
    keep("eval", found, bundle, found.measured)
    compared = parity(bundle, runtime=("ort", "reference"), options={"reference:precision": "fp32"})
    assert {one.engine for one in compared.comparisons} == {"ort/cpu", "reference/cpu"}
    compared = parity(bundle, runtime="reference", options=DOUBLE)
    keep("parity", compared, bundle, compared.measured)
    page = " ".join(Path(edgecnn.report(bundle).path).read_text("utf-8").split())
    assert "accuracy with its 95 % interval (in float64), median latency" in page
    assert "<td>reference/cpu in float64</td>" in page
    assert "fp32 on reference/cpu in float64, logits against golden" in page


def test_latency(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    plain = timed(("fp32",))
    how = {"precision": "bf16", "shape": "dynamic"}
    found = replace(plain, setup=replace(plain.setup, precision="bf16", options=how))
    report = make_report("bench", found, {})
    assert "1 thread, in bf16, shape=dynamic, batch 1" in bench_summary(report, found)
    path = write_report(report, bundle.folder)
    (column,) = side_by_side([path]).columns
    assert column.engine.endswith("on cpu, in bf16, shape=dynamic")
    material = collect(bundle)
    for section in (overview.build(material), latency.build(material)):
        assert "in bf16, shape=dynamic" in str(section)
    assert "in fp32" not in bench_summary(report, plain)
