"""An int8 core becomes a variant: measured beside what it was made from, then written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.bundle import extend
from edgecnn.disk import temporary_file
from edgecnn.golden import make_expected
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import float_core, put_preprocessing_in_front
from edgecnn.quantization.choosing import variant_name
from edgecnn.quantization.measuring import Found, Job, answer, measure_latency, report_on
from edgecnn.quantization.report import QuantizeReport
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import onnx_ir as ir


def read_core(source: Variant) -> ir.Model:
    """Read a located variant as a float core, without its preprocessing."""
    model = from_bytes(source.path.read_bytes(), where=str(source.path))
    return float_core(model) if source.preprocessing else model


def measure_and_write(job: Job, core: ir.Model, draft: Variant, found: Found) -> QuantizeReport:
    """Measure an int8 core beside its source, and write it into the bundle.

    Args:
        job: What is quantized, and on what it is measured.
        core: The quantized core, without preprocessing.
        draft: What it is called and how it was made, as `draft_variant` gives it.
        found: What led to it.

    Returns:
        What was measured; tolerances and verdict are written with the variant.

    Raises:
        ModelError: It answers NaN or infinity.
        BundleError: The bundle changed meanwhile.
    """
    model = _with_preprocessing(job, core, found)
    content = to_bytes(model)
    with temporary_file(draft.files[0], content) as path:
        located = replace(draft, files=(str(path),))
        before, after = answer(job, job.source, 0.62), answer(job, located, 0.68)
        latency = measure_latency(job, located)
        report = report_on(job, located, model, (before, after), latency, found)
    written = replace(draft, tolerances=report.tolerances, verdict=report.verdict)
    expected = make_expected(after.golden_outputs, runtime="ort", provider="cpu")
    extend(job.bundle, {draft.files[0]: content, str(draft.golden): expected}, written)
    return report


def draft_variant(job: Job, name: str, made_by: str, settings: dict[str, str]) -> Variant:
    """Describe the variant that a source becomes; tolerances and verdict come later.

    Args:
        job: What is quantized.
        name: Its name, such as `int8`.
        made_by: The command that makes it anew.
        settings: How it was made, as text.
    """
    source = job.source
    return replace(
        source,
        name=name,
        precision="int8",
        files=(f"{name}.onnx",),
        parent=job.bundle.parent(job.bundle.variant(source.name).files[0]),
        made_by=made_by,
        golden=f"{name}.golden.npz",
        settings=settings | ({"golden": "stand-in images"} if job.vectors.stand_in else {}),
        verdict=None,
    )


def int8_name(job: Job) -> str:
    """Name the variant after its scheme."""
    return variant_name(job.source.name, job.wishes.choice.scheme)


def _with_preprocessing(job: Job, core: ir.Model, found: Found) -> ir.Model:
    return put_preprocessing_in_front(core, found.contract) if job.source.preprocessing else core
