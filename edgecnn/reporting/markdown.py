"""What was measured as GitHub-flavoured Markdown: for the summary of a CI job, or a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.replayed import Replay
from edgecnn.benchmark.report import VariantLatency
from edgecnn.evaluation import EvalReport, PairedAccuracy
from edgecnn.gating import GateResult, together
from edgecnn.machine import Machine
from edgecnn.options import computing
from edgecnn.reporting.words import percent, size, time
from edgecnn.reports import Report
from edgecnn.stats import Interval

# Characters that Markdown, its formulas or HTML would take for more than themselves.
_MARKS = re.compile(r"([\\`*_\[\]<>|~$&])")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WORDS = {"pass": "passed", "fail": "FAILED", "inconclusive": "inconclusive"}


def eval_summary(report: Report, body: EvalReport) -> str:
    """Sum up an evaluation.

    Args:
        report: What wraps it: machine, command, version.
        body: What was found.

    Returns:
        Markdown, ending in a newline.
    """
    images = f"{body.images:,} {body.split} images of {escape(body.data)}"
    odd = {one.engine for one in body.variants if computing(one.precision, one.options)}
    on = escape(f", with {' and '.join(sorted(odd))}") if odd else ""
    return _page(report, "eval", body.gates, [f"Accuracy on {images}{on}.", _accuracies(body)])


def bench_summary(report: Report, body: BenchReport) -> str:
    """Sum up a bench.

    Args:
        report: What wraps it: machine, command, version.
        body: What was found.

    Returns:
        Markdown, ending in a newline.
    """
    setup = body.setup
    threads = "1 thread" if setup.threads == 1 else f"{setup.threads} threads"
    how = computing(setup.precision, setup.options)
    where, batch = f"{setup.runtime} on {setup.provider}", f"batch {setup.batch_size}"
    what = ", ".join(filter(None, (where, threads, how, batch)))
    doubts = [f"**Not valid:** {escape('; '.join(body.reasons))}."] if not body.valid else []
    parts = [*doubts, escape(f"Latency with {what}."), _latencies(body), _ratios(body)]
    if body.replay:
        parts = [*_again(body.replay), *parts]
        return _page(report, f"bench --replay: {body.replay.outcome}", body.gates, parts)
    return _page(report, "bench", body.gates, parts, valid=body.valid)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Write a table; text is escaped.

    Args:
        columns: The columns' names.
        rows: Text of the cells, a row as long as the columns.
        left: How many columns, from the first, hold text; the others hold numbers.
    """
    marks = [":--" if number < left else "--:" for number in range(len(columns))]
    lines = [_row(columns), "|" + "|".join(marks) + "|", *map(_row, rows)]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Write text so that it stands for itself, on one line."""
    marked = _MARKS.sub(r"\\\1", " ".join(_CONTROLS.sub(" ", text).split()))
    return marked.replace("@", "@<!-- -->")  # or GitHub would write to whoever is called so


def _page(
    report: Report,
    command: str,
    gates: Sequence[GateResult],
    parts: Sequence[str],
    *,
    valid: bool = True,
) -> str:
    outcome = together(gates).outcome
    # What is exact passes in any run; the run has not, and its exit code says so too.
    word = _WORDS[outcome] if valid or outcome != "pass" else "not valid"
    verdict = f": {word}" if gates else ""
    sections = [f"### edgecnn {command}{verdict}"]
    if gates:
        sections.append(_gates(gates))
    return "\n\n".join([*sections, *filter(None, parts), _footer(report)]) + "\n"


def _gates(gates: Sequence[GateResult]) -> str:
    rows = [(_WORDS[one.outcome], one.gate, one.variant, one.reason) for one in gates]
    return table(("gate", "fails if", "variant", "why"), rows, left=4)


def _latencies(body: BenchReport) -> str:
    columns = ("variant", "median", "95 % interval", "p90", "p99", "cold start", "peak", "size")
    return table(columns, [_latency(row) for row in body.variants])


def _latency(row: VariantLatency) -> Sequence[str]:
    def spell(seconds: float | None) -> str:
        return "" if seconds is None else time(seconds)

    interval = row.intervals.get("median")
    return (
        row.variant,
        # The interval's own middle: it weighs sessions alike, the median of all calls does not.
        (row.failure and "failed") or spell(interval.estimate if interval else row.median_seconds),
        f"{time(interval.low)} to {time(interval.high)}" if interval else "",
        spell(row.p90_seconds),
        spell(row.p99_seconds),
        spell(row.cold_start.total_seconds if row.cold_start else None),
        size(row.peak_bytes) if row.peak_bytes else "",
        size(row.size_bytes),
    )


def _ratios(body: BenchReport) -> str:
    columns = ("compared", "time", "95 % interval", "noise floor", "outcome")
    rows = [
        (
            f"{one.second} against {one.first}",
            f"{100 * (one.ratio - 1):+.1f} %",
            f"{100 * (one.low - 1):+.1f} to "
            + ("?" if one.high is None else f"{100 * (one.high - 1):+.1f}"),
            percent(one.noise_floor),
            one.outcome,
        )
        for one in body.comparisons
    ]
    return table(columns, rows) if rows else ""


def _again(found: Replay) -> Iterator[str]:
    columns = ("variant", "before", "now", "ratio", "95 % interval", "outcome")
    rows = [
        (
            one.variant,
            time(one.before.estimate),
            time(one.now.estimate),
            f"{one.ratio.estimate:.3f}",
            f"{one.ratio.low:.3f} to {one.ratio.high:.3f}",
            one.outcome,
        )
        for one in found.variants
    ]
    yield table(columns, rows) if rows else ""
    yield escape(" ".join(found.reasons))
    yield escape(" ".join(f"Different: {one}." for one in found.differences))


def _accuracies(body: EvalReport) -> str:
    pairs = {pair.second: pair for pair in body.baseline.comparisons} if body.baseline else {}
    known = {one.name: one.accuracy for one in body.baseline.variants} if body.baseline else {}
    columns = ["variant", "accuracy", "95 % interval"]
    columns += ["baseline", "change in points", "95 % interval"] if body.baseline else []
    rows = []
    for one in body.variants:
        row = [one.name, percent(one.accuracy.estimate, 2), _range(one.accuracy)]
        if body.baseline:
            row += _against(known.get(one.name), pairs.get(one.name))
        rows.append(row)
    return table(columns, rows)


def _against(accuracy: Interval | None, pair: PairedAccuracy | None) -> Iterator[str]:
    if accuracy is None or pair is None:
        yield from ("none", "", "")
        return
    drop = pair.drop
    yield percent(accuracy.estimate, 2)
    yield _points(-drop.estimate)
    yield f"{_points(-drop.high)} to {_points(-drop.low)}"


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:+.2f}"  # what rounds to nothing has no minus


def _range(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _footer(report: Report) -> str:
    return (
        f"<sub>{escape(machine_text(report.machine))} · edgecnn {escape(report.edgecnn)} · "
        f"{escape(report.command)}</sub>"
    )


def machine_text(machine: Machine) -> str:
    """Name a machine: processor and the cores that were allowed."""
    return f"{machine.cpu}, {machine.allowed_cores} of {machine.cores} cores"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"
