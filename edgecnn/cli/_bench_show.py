"""What `edgecnn bench` prints of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgecnn.cli._bench_loadgen import print_loadgen
from edgecnn.cli._bench_scenarios import print_resources, print_scenarios
from edgecnn.cli._options import note
from edgecnn.cli._placement import print_placements
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.benchmark import BenchReport
    from edgecnn.benchmark.report import ColdStart, VariantLatency


_LONGEST_NAME = 30


def print_bench(report: BenchReport) -> None:
    _print_setup(report)
    _print_latency(report)
    _print_spread(report)
    if report.comparisons:
        _print_comparisons(report)
    starts = [(row.variant, row.cold_start) for row in report.variants if row.cold_start]
    if starts:
        _print_cold_starts(starts)
    print_resources(report)
    print_scenarios(report.scenarios)
    print_loadgen(report)
    print_placements(report)
    for comparison in report.comparisons:
        say(f"{comparison.verdict}.")
    for row in report.variants:
        if row.failure:
            say(f"{row.variant} failed: {row.failure}")
    _print_checks(report)
    _print_belief(report)


def _print_belief(report: BenchReport) -> None:
    if report.valid:
        say("VALID")
    else:
        remedies = [doubt.remedy for doubt in report.doubts if doubt.invalid]
        reasons = f"Not valid: {'; '.join(report.reasons)}."
        say(" ".join([reasons, *filter(None, dict.fromkeys(remedies))]))
    for doubt in report.doubts:
        if not doubt.invalid:
            note(f"{doubt.what[:1].upper()}{doubt.what[1:]}. {doubt.remedy}".rstrip())


def _print_setup(report: BenchReport) -> None:
    from edgecnn.cli._show import facts
    from edgecnn.conditions import cpu_list
    from edgecnn.machine import this_machine
    from edgecnn.options import computing

    machine, setup = this_machine(), report.setup
    versions = ", ".join(f"{name} {number}" for name, number in setup.versions.items())
    threads = "1 thread" if setup.threads == 1 else f"{setup.threads} threads"
    if setup.cores:
        threads += f", pinned to CPU {cpu_list(setup.cores)}"
    how = ", ".join(filter(None, (threads, computing(setup.precision, setup.options))))
    facts(
        (
            ("CPU", f"{machine.cpu}, {machine.allowed_cores} of {machine.cores} cores"),
            ("features", ", ".join(machine.features) or "none that matter here"),
            ("runtime", f"{setup.runtime} ({versions}) on {setup.provider}, {how}"),
            ("inputs" if setup.inputs else "images", setup.images),
        )
    )
    say("")


def _print_checks(report: BenchReport) -> None:
    costs = {
        row.variant: row.checks_seconds for row in report.variants if row.checks_seconds is not None
    }
    shown = [f"{1e6 * cost:.1f} µs with {name}" for name, cost in costs.items() if cost > 0]
    if shown:
        say(f"edgecnn's own checks are not in these figures: {', '.join(shown)}.")
    # The difference of two medians: where it is below nothing, noise is larger than the checks.
    lost = [name for name, cost in costs.items() if cost <= 0]
    if lost:
        say(f"What edgecnn's own checks take is too little to be measured with {', '.join(lost)}.")


def _print_latency(report: BenchReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import size, table, three_digits

    medians = [row.median_seconds for row in report.variants if row.median_seconds]
    scale, unit = (1e3, "ms") if max(medians, default=0) >= 0.01 else (1e6, "µs")

    def time(seconds: float | None) -> str:
        return "-" if seconds is None else three_digits(seconds * scale)

    def cells(row: VariantLatency) -> Sequence[str]:
        return (
            escape(row.variant),
            time(row.median_seconds),
            *map(time, (row.p90_seconds, row.p95_seconds, row.p99_seconds, row.minimum_seconds)),
            "-" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            f"{row.resident_bytes / 1e6:,.0f} MB" if row.resident_bytes else "-",
            size(row.size_bytes),
        )

    setup = report.setup
    table(
        ", ".join(filter(None, (f"Latency in {unit}", f"batch {setup.batch_size}", setup.inputs))),
        ("", "median", "p90", "p95", "p99", "min", "images/s", "memory", "size"),
        map(cells, report.variants),
        caption="Memory is the whole process: Python, the engine and the model.",
    )


def _print_spread(report: BenchReport) -> None:
    from edgecnn.cli._histogram import histograms
    from edgecnn.cli._show import facts, microseconds
    from edgecnn.cli._terminal import console, show

    times = {row.variant: report.samples.times_ns(row.variant) for row in report.variants}
    samples = {name: [each / 1e9 for each in own] for name, own in times.items() if own}
    if not samples:
        return
    longest = min(max(map(len, samples)), _LONGEST_NAME)
    show("[bold]How the times of calls are spread, on a logarithmic axis[/]\n")
    facts(histograms(samples, console().width - longest - 3, microseconds), widest=longest)
    say("")


def _print_comparisons(report: BenchReport) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table

    rows = [
        (
            escape(f"{one.second} / {one.first}"),
            f"{one.ratio:.3f}",
            f"{one.low:.3f} to {'-' if one.high is None else f'{one.high:.3f}'}",
            f"{100 * one.noise_floor:.1f} %",
            f"{one.blocks} in {one.replicates}",
            one.outcome,
        )
        for one in report.comparisons
    ]
    headers = ("times", "ratio", "95 % interval", "noise floor", "blocks", "outcome")
    inputs = report.setup.inputs
    table(f"Compared, block by block{inputs and f', {inputs}'}", headers, rows)


def _print_cold_starts(starts: Sequence[tuple[str, ColdStart]]) -> None:
    from rich.markup import escape

    from edgecnn.cli._show import table, three_digits

    rows = [
        (
            escape(name),
            *(
                three_digits(seconds * 1e3)
                for seconds in (
                    cold.start_seconds,
                    cold.import_seconds,
                    cold.load_seconds,
                    cold.first_run_seconds,
                    cold.total_seconds,
                )
            ),
            str(cold.processes),
        )
        for name, cold in starts
    ]
    headers = ("", "Python", "import", "load", "first run", "in all", "processes")
    table("Cold start in ms (median of fresh processes)", headers, rows)
