"""What was proved of the variants, and by how much they agree."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.agreement import Comparison, ParityReport
from edgecnn.benchmark import BenchReport
from edgecnn.quantization import QuantizeReport
from edgecnn.reporting.contract import Finding, Section, Table
from edgecnn.reporting.material import Kept, Material
from edgecnn.spec import Verdict
from edgecnn.verification import VerifyReport

ORDER = 60
TITLE = "Checks"
COMMAND = "edgecnn parity"


def build(material: Material) -> Section | None:
    """Give the verdicts of quantize, parity, verify and bench, and what answers were held to."""
    findings = tuple(_findings(material))
    parity, verified = material.newest(ParityReport), material.newest(VerifyReport)
    if not findings:
        return None
    values = {
        "parity": parity,
        "parity_table": parity and _answers(parity.body.comparisons),
        "verified": verified,
        "verified_table": verified and _answers(_checked(verified.body)),
    }
    return Section(values, findings)


def _findings(material: Material) -> Iterator[Finding]:
    if quantized := material.newest(QuantizeReport):
        yield Finding("Is int8 worth having?", quantized.body.verdict, quantized)
        if quantized.body.gate:
            yield Finding("Loss of accuracy allowed", quantized.body.gate, quantized)
    if parity := material.newest(ParityReport):
        yield Finding("Same answers as the reference", parity.body.verdict, parity)
    if verified := material.newest(VerifyReport):
        yield Finding("Is the bundle what was written?", verified.body.verdict, verified)
    if measured := material.newest(BenchReport):
        yield Finding("May the latency be believed?", _belief(measured), measured)


def _belief(measured: Kept[BenchReport]) -> Verdict:
    body = measured.body
    sentences = tuple(f"{one.verdict}." for one in body.comparisons)
    if body.valid:
        return Verdict("pass", ("The run is valid.", *sentences))
    doubts = tuple(f"Not valid: {reason}." for reason in body.reasons)
    return Verdict("inconclusive", (*doubts, *sentences))


def _checked(body: VerifyReport) -> tuple[Comparison, ...]:
    return tuple(comparison for check in body.variants for comparison in check.comparisons)


def _answers(comparisons: tuple[Comparison, ...]) -> Table:
    rows = [
        (
            one.name,
            f"{one.runtime}/{one.provider}",
            one.against,
            one.output,
            " ".join(gate.sentence for gate in one.gates) or "; ".join(one.verdict.reasons),
            one.verdict.outcome,
        )
        for one in comparisons
    ]
    columns = ("variant", "runtime", "held against", "output", "found", "verdict")
    return Table("Answers", columns, tuple(rows), left=6)
