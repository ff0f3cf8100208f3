"""What `edgecnn tune` prints of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.cli._options import note
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.tuning import Row, TuneReport
    from edgecnn.tuning.report import Final

_MOST_ROWS = 15


def print_tune(report: TuneReport) -> None:
    """Print what was tried, what the second run found, and what was left out."""
    _print_setup(report)
    _print_rows(report)
    if report.final:
        _print_final(report.final)
    for name, why in _troubles(report):
        say(f"{name}: {why}")
    if report.interrupted or report.outcome != "inconclusive":
        say(report.verdict)
    _note_int8(report)
    for one in report.left_out:
        note(f"Left out: {one.what}. {one.reason}{_helps(one.remedy)}")


def _helps(remedy: str) -> str:
    """Give a remedy as part of a line: a command or flag is marked, a sentence is one already."""
    if not remedy:
        return ""
    return f" {remedy}" if remedy.endswith(".") else f" `{remedy}`"


def _print_setup(report: TuneReport) -> None:
    from edgecnn.cli._show import facts
    from edgecnn.machine import this_machine

    machine = this_machine()
    facts(
        (
            ("CPU", f"{machine.cpu}, {machine.allowed_cores} of {machine.cores} cores"),
            ("default", report.default),
            ("images", report.images),
            ("time", f"{report.seconds:.0f} s of a budget of {report.budget_seconds:g} s"),
        )
    )
    say("")


def _print_rows(report: TuneReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    shown = report.rows[:_MOST_ROWS]
    more = len(report.rows) - len(shown)
    caption = (
        "Ratio: time over the default's, with a 95 % interval. The best of many looks faster than "
        "it is: the second run decides."
    )
    if more > 0:
        caption += f" {more} more are in the report."
    table(
        "The search",
        ("", "ratio", "interval", "replicates", "outcome"),
        [(escape(row.name), *_cells(row, report)) for row in shown],
        caption=caption,
    )


def _cells(row: Row, report: TuneReport) -> tuple[str, str, str, str]:
    if row.name == report.default:
        return "1", "", str(row.replicates), "default"
    count = str(row.replicates) if row.replicates else ""
    if row.ratio is None:
        return "-", "", count, row.state
    interval = f"{row.ratio.low:.2f} to {row.ratio.high:.2f}"
    outcome = "chosen" if row.name == report.chosen else row.state
    return f"{row.ratio.estimate:.3f}", interval, count, outcome


def _print_final(final: Final) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    rows = [
        (
            escape(f"{one.second} / {one.first}"),
            f"{one.ratio:.3f}",
            f"{one.low:.2f} to {'-' if one.high is None else f'{one.high:.2f}'}",
            f"{100 * one.noise_floor:.1f} %",
            f"{one.blocks} in {one.replicates}",
            one.outcome,
        )
        for one in final.comparisons
    ]
    headers = ("times", "ratio", "95 % interval", "noise floor", "blocks", "outcome")
    table("The second run, in fresh processes", headers, rows)
    # Not with their remedies: some name flags of `edgecnn bench`.
    doubts = "; ".join(doubt.what for doubt in final.doubts)
    if doubts:
        note(f"Read the second run with care: {doubts}.")


def _troubles(report: TuneReport) -> list[tuple[str, str]]:
    return [(row.name, row.why) for row in report.rows if row.state in ("failed", "answers differ")]


def _note_int8(report: TuneReport) -> None:
    """Say what let variants race that are not fp32."""
    if report.max_drop is None:
        note(
            "Answers were held against the golden vectors, within each variant's own tolerances; "
            "--max-drop 0.5pp also holds them to accuracy on labelled images."
        )
