"""What was proved of the variants, and by how much they agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgecnn.agreement import Comparison, ParityReport
from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.replayed import Replay
from edgecnn.evaluation import EvalReport
from edgecnn.gating import together
from edgecnn.gating.judge import Outcome
from edgecnn.reporting.contract import Finding, Section
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._quantized import newest_quantization
from edgecnn.spec import Verdict
from edgecnn.verification import VerifyReport

ORDER = 60
TITLE = "Checks"
COMMAND = "edgecnn parity"


def build(material: Material) -> Section | None:
    """Give the verdicts of every check and gate, and what answers were held to."""
    findings = tuple(_findings(material))
    parity, verified = material.newest(ParityReport), material.newest(VerifyReport)
    if not findings:
        return None
    values = {
        "parity": parity,
        "verified": verified,
        "checked": verified and _checked(verified.body),
    }
    return Section(values, findings)


def _findings(material: Material) -> Iterator[Finding]:
    if quantized := newest_quantization(material):
        found, kept = quantized
        yield Finding("Is int8 worth having?", found.verdict, kept)
        if found.gate:
            yield Finding("Loss of accuracy allowed", found.gate, kept)
    if parity := material.newest(ParityReport):
        agreed = _with_reason(parity.body.verdict, "Every comparison is within its tolerance.")
        yield Finding("Same answers as the reference", agreed, parity)
    if verified := material.newest(VerifyReport):
        sound = _with_reason(verified.body.verdict, "Every file is, and answers as it should.")
        yield Finding("Is the bundle what was written?", sound, verified)
    if (evaluated := material.newest(EvalReport)) and evaluated.body.gates:
        yield Finding("Gates of eval", together(evaluated.body.gates), evaluated)
    if measured := material.newest(BenchReport):
        yield Finding("May the latency be believed?", _belief(measured), measured)
        if measured.body.gates:
            yield Finding("Gates of bench", together(measured.body.gates), measured)
    again = next((one for one in material.all(BenchReport) if one.body.replay), None)
    if again and again.body.replay:
        yield Finding("Does the latency come out again?", _replayed(again.body.replay), again)


def _with_reason(verdict: Verdict, reason: str) -> Verdict:
    # A pass of parity and verify has none.
    return verdict if verdict.reasons else replace(verdict, reasons=(reason,))


def _belief(measured: Kept[BenchReport]) -> Verdict:
    body = measured.body
    sentences = tuple(f"{one.verdict}." for one in body.comparisons)
    if body.valid:
        return Verdict("pass", ("The run is valid.", *sentences))
    doubts = tuple(f"Not valid: {reason}." for reason in body.reasons)
    return Verdict("inconclusive", (*doubts, *sentences))


def _replayed(replay: Replay) -> Verdict:
    outcomes: dict[str, Outcome] = {"reproduced": "pass", "not reproduced": "fail"}
    outcome = outcomes.get(replay.outcome, "inconclusive")
    before = f"Measured before on {replay.created[:10]}: {replay.outcome}"
    return Verdict(outcome, (before, *replay.reasons, *replay.differences))


def _checked(body: VerifyReport) -> tuple[Comparison, ...]:
    return tuple(comparison for check in body.variants for comparison in check.comparisons)
