"""Where should a net run? Every runtime that is here, in turn with plain ONNX Runtime.

For each bundle one run of the engine: every runtime that reads one of its variants, in fp32 and
int8, on 1 and on 2 threads, each in fresh processes that take turns there and back. What all are
compared with is a bare loop of `InferenceSession.run` on the fp32 file, with ONNX Runtime's own
defaults and as many threads, in a process without edgecnn (`bare.py`). A ratio has its 95 %
interval and the noise floor beside it. Formats of other engines take part where the bundle has
variants in them: `edgecnn export BUNDLE --format ncnn`. The reference runtime does not: it is there
to be right.

Beside the times stand, from the same processes, the cold start (Python, imports, loading, the first
answer) and the most memory that was resident; the size of the engine's packages and of what they
alone need; and the share of this machine's peak: two operations for each multiply-accumulate that
`edgecnn inspect` counts, over the best rate that a matrix product of ONNX Runtime reached just
before (float32, or uint8 by int8 for int8) by as many threads.

With --tune, `edgecnn tune` first looks for the fastest way on each number of threads within so many
seconds, and what it finds takes part in the run. With --max-drop 0.5pp it may compute in less than
float32, where the loss of accuracy on the bundle's own data is shown to be no larger.

    python benchmarks/runtimes.py runs/lenet runs/resnet8 runs/resnet20 runs/mobilenet_v2 --tune 5m
    python benchmarks/runtimes.py runs/lenet --seconds 2s --replicates 2 --threads 1

Prints tables in Markdown; after each net everything is in results/, with the median of each turn.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from installed import installed_bytes
from lanes import PLAIN, TUNED, Lane, lanes, name, tell
from measured import Turn, multiply_accumulates, peaks, plan, turns

from edgecnn.benchmark.engine import Run
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.samples import Samples
from edgecnn.benchmark.summing import Measured, comparisons, latency
from edgecnn.bundle import open_bundle
from edgecnn.profiling.report import Peaks
from edgecnn.records import to_builtins
from edgecnn.reports import make_report
from edgecnn.units import parse, seconds

HEAD = (
    "| runtime | variant | median | ratio | 95 % interval | noise floor | of the peak "
    "| cold start | peak memory | installed |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """What was found of one lane, against the bare loop on as many threads.

    Attributes:
        label: The runtime and its settings.
        variant: Name of the variant.
        threads: Threads within an operator.
        precision: What float32 operators computed in.
        median_us: Median time of a call.
        comparison: With the bare loop; None of itself and of what failed.
        share_of_peak: Of this machine's peak, from 0; None where no peak was measured for such
            numbers.
        cold_start_ms: From nothing to the first answer; the median of the processes.
        peak_bytes: The most memory that was resident; the median of the processes.
        installed_bytes: The engine's packages, and what they alone need.
        failure: Why it was not measured to the end; empty if it was.
    """

    label: str
    variant: str
    threads: int
    precision: str
    median_us: float | None
    comparison: LatencyComparison | None
    share_of_peak: float | None
    cold_start_ms: float | None
    peak_bytes: int
    installed_bytes: int
    failure: str = ""


@dataclass
class Result:
    """What was found of one net.

    Attributes:
        net: The bundle's name.
        macs: Multiply-accumulates of one picture.
        rows: By threads, then in the order of the lanes.
        peaks: By threads.
        left_out: What could not take part, and why.
        tuned: What `edgecnn tune` said, by threads.
        said: How what it chose compares, in sentences.
        turns: Every turn of every process.
    """

    net: str
    macs: int | None
    rows: list[Row] = field(default_factory=list)
    peaks: dict[int, Peaks] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    tuned: dict[int, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)


def main() -> None:
    options = arguments()
    results: list[Result] = []
    for folder in options.bundles:
        bundle = open_bundle(folder)
        result = Result(folder.name, multiply_accumulates(bundle))
        results.append(result)
        found = list(lanes(bundle, options, result.left_out, result.tuned))
        result.peaks = {count: peaks(count) for count in options.threads}
        run = Run([lane.subject for lane in found], plan(options), lambda: None, tell)
        run.go()
        result.turns = list(turns(run.samples))
        result.rows = [row(lane, result, run.samples) for lane in found]
        result.said = list(tuned_against(found, run.samples, result.rows))
        print("\n".join([*table(result), *result.said]), flush=True)
        report = make_report("runtimes", {"results": to_builtins(results)}, {})
        options.output.write_text(json.dumps(asdict(report)) + "\n")
    print(f"\n{options.output}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 by default")
    parser.add_argument("--seconds", type=seconds, default=120.0, help="of turns, for each net")
    parser.add_argument("--replicates", type=int, default=5, help="rounds of fresh processes")
    parser.add_argument("--tune", type=seconds, help="budget of each search; by default none")
    parser.add_argument("--max-drop", type=share, help="of accuracy that tune may lose: 0.5pp")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.threads = options.threads or [1, 2]
    results = Path(__file__).parent / "results"
    options.output = options.output or results / f"runtimes-{date.today()}.json"
    return options


def share(text: str) -> float:
    return parse(text).value


def row(lane: Lane, result: Result, samples: Samples) -> Row:
    own, called = lane.subject.variant, lane.subject.name
    size = sum(Path(file).stat().st_size for file in own.files)
    base = name(PLAIN, "fp32", lane.threads)
    base_found, found = (
        latency(Measured(each, own.precision, size), samples, 1) for each in (base, called)
    )
    compared = comparisons(samples, [base_found, found], [(base, called)]) if base != called else []
    cold = found.cold_start
    return Row(
        label=lane.label,
        variant=lane.variant,
        threads=lane.threads,
        precision=lane.opened.precision if lane.opened else "fp32",
        median_us=None if found.median_seconds is None else 1e6 * found.median_seconds,
        comparison=compared[0] if compared else None,
        share_of_peak=share_of_peak(lane, result, found.median_seconds),
        cold_start_ms=None if cold is None else 1e3 * cold.total_seconds,
        peak_bytes=found.peak_bytes,
        installed_bytes=installed_bytes(lane.opened.versions if lane.opened else ["onnxruntime"]),
        failure=found.failure,
    )


def share_of_peak(lane: Lane, result: Result, median_seconds: float | None) -> float | None:
    kind = "int8" if lane.subject.variant.precision == "int8" else "fp32"
    full = lane.opened is None or lane.opened.precision == "fp32"
    if median_seconds is None or result.macs is None or not (full or kind == "int8"):
        return None
    (peak,) = [each for each in result.peaks[lane.threads].arithmetic if each.what == kind]
    return 2 * result.macs / median_seconds / peak.rate


def table(result: Result) -> Iterator[str]:
    print(file=sys.stderr)
    for threads in sorted(result.peaks):
        said = ", ".join(
            f"{peak.what} {peak.rate / 1e9:.0f} GOP/s" for peak in result.peaks[threads].arithmetic
        )
        yield f"\n{result.net}, {threads} {'thread' if threads == 1 else 'threads'} ({said})\n"
        yield HEAD
        yield from (line(row) for row in result.rows if row.threads == threads)
    for called, why in result.left_out.items():
        yield f"\nLeft out: {called}: {why}"


def line(row: Row) -> str:
    cells = [row.label, row.variant]
    if row.failure:
        return f"| {' | '.join([*cells, row.failure, *[''] * 7])} |"
    found = row.comparison
    high = "" if found is None or found.high is None else f"{found.high:.2f}"
    cells += [
        "" if row.median_us is None else f"{row.median_us:,.1f} µs",
        "1" if found is None else f"{found.ratio:.2f}",
        "" if found is None else f"{found.low:.2f} to {high}",
        "" if found is None else f"{100 * found.noise_floor:.1f} %",
        "" if row.share_of_peak is None else f"{100 * row.share_of_peak:.0f} %",
        "" if row.cold_start_ms is None else f"{row.cold_start_ms:.0f} ms",
        f"{row.peak_bytes / 1e6:.0f} MB",
        f"{row.installed_bytes / 1e6:.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def tuned_against(lanes: Sequence[Lane], samples: Samples, rows: Sequence[Row]) -> Iterator[str]:
    """Say how what was tuned compares: with plain calls, the default and the best other row."""
    for lane in lanes:
        if not lane.label.startswith(TUNED):
            continue
        yield f"\n`edgecnn tune` on {lane.threads}: {lane.label} {lane.variant}."
        others = {
            "plain `InferenceSession.run`": name(PLAIN, "fp32", lane.threads),
            "edgecnn's default": name("ort", "fp32", lane.threads),
            "the best other row": best_row(rows, lane.threads),
        }
        for what, other in others.items():
            both = (other, lane.subject.name)
            timed = [latency(Measured(each, "fp32", 0), samples, 1) for each in both]
            for found in comparisons(samples, timed, [both]):
                low = f"{1 / found.high:.2f}" if found.high else "?"
                yield (
                    f"- {1 / found.ratio:.2f} [{low}, {1 / found.low:.2f}] times as fast as {what} "
                    f"({other}): {found.outcome}, noise floor {100 * found.noise_floor:.1f} %"
                )


def best_row(rows: Sequence[Row], threads: int) -> str:
    timed = [
        (row.median_us, name(row.label, row.variant, threads))
        for row in rows
        if row.threads == threads and row.median_us and not row.label.startswith(TUNED)
    ]
    return min(timed)[1]


if __name__ == "__main__":
    main()
