"""How fast is a net as plain C? Beside every runtime that is here, in turn, one thread, batch 1.

For each bundle one run of the engine, in fp32 and int8: the generated C, compiled by gcc and by
clang for this CPU, and by gcc for any x86 with AVX2; a bare loop of `InferenceSession.run`; the
same library called from C (`rivals/ort_c`); OpenVINO, LiteRT, ncnn and ExecuTorch, where they and
their variants are here (`rivals/executorch` is the last one's adapter); and emx-onnx-cgen, which
generates C, too (`rivals/emx`, EMX_ONNX_CGEN names its program).

Each is compared with `session.run` on the file of the same precision; the noise floor stands
beside it. The share of the peak is as in `runtimes.py`.

Every layer of the generated C is then timed alone, and what a large net costs to compile is
measured for the bundles that --compile names.

    edgecnn export runs/lenet --format c; edgecnn export runs/lenet --format c --from int8
    python benchmarks/c_target.py runs/lenet runs/resnet8 runs/resnet20 --seconds 20s

Prints Markdown; after each net everything is in results/, with the median of each turn.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

from bare import BareWorker
from compiling import Compiling, compiling
from lanes import Lane, engine_lane, make_subject, name, tell, tried
from layered import LayerShare, layer_shares
from measured import Turn, multiply_accumulates, peaks, plan, turns

from edgecnn.benchmark.engine import Place, Run
from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.samples import Samples
from edgecnn.benchmark.summing import Measured, comparisons, latency
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import EdgeCNNError
from edgecnn.profiling.report import Peaks
from edgecnn.records import to_builtins
from edgecnn.reports import make_report
from edgecnn.spec import Variant
from edgecnn.units import seconds

PLAIN = "session.run"
RIVALS = Path(__file__).parent / "rivals"
# Ways to run the variants of a format: what they are called, the runtime, its options.
WAYS: Mapping[str, Sequence[tuple[str, str, dict[str, str]]]] = {
    "c": (
        ("C, gcc", "c", {"compiler": "gcc"}),
        ("C, clang", "c", {"compiler": "clang"}),
        ("C, gcc for AVX2", "c", {"compiler": "gcc", "cpu": "x86-64-v3"}),
    ),
    "onnx": (
        ("ONNX Runtime from C", str(RIVALS / "ort_c"), {}),
        ("OpenVINO", "openvino", {}),
        ("emx-onnx-cgen, gcc", str(RIVALS / "emx"), {}),
    ),
    "ncnn": (("ncnn", "ncnn", {}),),
    "tflite": (("LiteRT", "litert", {}),),
    "torch": (("ExecuTorch, XNNPACK", str(RIVALS / "executorch"), {}),),
}
HEAD = (
    "| runtime | precision | median | times as fast as `session.run` | noise floor | of the peak "
    "| cold start | peak memory |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """What was found of one way to run a net.

    Attributes:
        label: What it is called.
        precision: fp32 or int8.
        median_us: Median time of a call.
        comparison: With `session.run` on the file of this precision; None of itself.
        share_of_peak: Of what a matrix product reaches here in these numbers.
        cold_start_ms: From nothing to the first answer.
        peak_bytes: The most memory that was resident.
        failure: Why it was not measured to the end.
    """

    label: str
    precision: str
    median_us: float | None
    comparison: LatencyComparison | None
    share_of_peak: float | None
    cold_start_ms: float | None
    peak_bytes: int
    failure: str = ""


@dataclass
class Result:
    """What was found of one net.

    Attributes:
        net: The bundle's name.
        macs: Multiply-accumulates of one image.
        peaks: Of this machine, by one thread.
        rows: In the order of the lanes.
        left_out: What could not take part, and why.
        layers: Each layer of the generated C, by variant.
        turns: Every turn of every process.
    """

    net: str
    macs: int | None
    peaks: Peaks | None = None
    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    layers: dict[str, tuple[LayerShare, ...]] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)


def main() -> None:
    options = arguments()
    results: list[Result] = []
    compiled: list[Compiling] = []
    for folder in options.bundles:
        results.append(measure(open_bundle(folder), options))
        print("\n".join(table(results[-1])), flush=True)
        write(results, compiled, options.output)
    for folder in options.compile:
        compiled += compiling(open_bundle(folder))
        write(results, compiled, options.output)
    print("\n".join(each.line for each in compiled))
    print(f"\n{options.output.name}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--compile", nargs="*", type=Path, default=[], help="bundles to compile")
    parser.add_argument("--seconds", type=seconds, default=60.0, help="of turns, for each net")
    parser.add_argument("--replicates", type=int, default=5, help="rounds of fresh processes")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = Path(__file__).parent / "results"
    options.output = options.output or results / f"c_target-{date.today()}.json"
    return options


def measure(bundle: Bundle, options: argparse.Namespace) -> Result:
    result = Result(bundle.folder.name, multiply_accumulates(bundle))
    found = list(lanes(bundle, result.left_out))
    result.peaks = peaks(1)
    run = Run([lane.subject for lane in found], plan(options), lambda: None, tell)
    run.go()
    print(file=sys.stderr)
    result.turns = list(turns(run.samples))
    result.rows = [row(lane, result, run.samples) for lane in found]
    for variant in bundle.manifest.variants:
        if variant.format == "c":
            located = bundle.locate(variant.name)
            result.layers[variant.name] = layer_shares(bundle, located, result.peaks)
    return result


def lanes(bundle: Bundle, left_out: dict[str, str]) -> Iterator[Lane]:
    for precision in ("fp32", "int8"):
        yield plain_lane(bundle, precision)
    for variant in bundle.manifest.variants:
        if variant.format == "onnx" and variant.name not in ("fp32", "int8"):
            continue
        for label, runtime, settings in WAYS.get(variant.format, ()):
            place = Place(runtime, None, 1, settings)
            lane = engine_lane(bundle, label, bundle.locate(variant.name), place)
            tell(f"trying {lane.subject.name}", 0)
            try:
                yield replace(lane, opened=tried(lane.subject))
            except EdgeCNNError as error:
                left_out[lane.subject.name] = error.problem


def plain_lane(bundle: Bundle, precision: str) -> Lane:
    place, located = Place("ort", "cpu", 1), bundle.locate(precision)
    subject = make_subject(bundle, name(PLAIN, precision, 1), located, place)
    return Lane(PLAIN, precision, 1, replace(subject, launch=BareWorker))


def row(lane: Lane, result: Result, samples: Samples) -> Row:
    own: Variant = lane.subject.variant
    called, base = lane.subject.name, name(PLAIN, own.precision, 1)
    measured = [latency(Measured(each, own.precision, 0), samples, 1) for each in (base, called)]
    compared = comparisons(samples, measured, [(base, called)]) if base != called else []
    found = measured[1]
    cold, median = found.cold_start, found.median_seconds
    return Row(
        label=lane.label,
        precision=own.precision,
        median_us=None if median is None else 1e6 * median,
        comparison=compared[0] if compared else None,
        share_of_peak=share_of_peak(own.precision, result, median),
        cold_start_ms=None if cold is None else 1e3 * cold.total_seconds,
        peak_bytes=found.peak_bytes,
        failure=found.failure,
    )


def share_of_peak(precision: str, result: Result, median: float | None) -> float | None:
    if median is None or result.macs is None or result.peaks is None:
        return None
    (peak,) = [each for each in result.peaks.arithmetic if each.what == precision]
    return 2 * result.macs / median / peak.rate


def table(result: Result) -> Iterator[str]:
    assert result.peaks is not None
    said = ", ".join(f"{each.what} {each.rate / 1e9:.0f} GOP/s" for each in result.peaks.arithmetic)
    yield f"\n{result.net}, one thread ({said})\n"
    yield HEAD
    yield from map(line, result.rows)
    for called, why in result.left_out.items():
        yield f"\nLeft out: {called}: {why}"
    for variant, layers in result.layers.items():
        yield f"\n{result.net} {variant}, layer by layer\n"
        yield "| layer | kernel | MACs | time | of the peak |\n|---|---|---|---|---|"
        yield from (each.line for each in layers)


def line(row: Row) -> str:
    cells = [row.label, row.precision]
    if row.failure:
        return f"| {' | '.join([*cells, row.failure, *[''] * 5])} |"
    cells += [
        "" if row.median_us is None else f"{row.median_us:,.1f} µs",
        "1" if row.comparison is None else times_as_fast(row.comparison),
        "" if row.comparison is None else f"{100 * row.comparison.noise_floor:.1f} %",
        "" if row.share_of_peak is None else f"{100 * row.share_of_peak:.0f} %",
        "" if row.cold_start_ms is None else f"{row.cold_start_ms:.0f} ms",
        f"{row.peak_bytes / 1e6:.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def times_as_fast(found: LatencyComparison) -> str:
    low = f"{1 / found.high:.2f}" if found.high else "?"
    return f"{1 / found.ratio:.2f} [{low}, {1 / found.low:.2f}]"


def write(results: Sequence[Result], compiled: Sequence[Compiling], output: Path) -> None:
    body = {"results": to_builtins(results), "compiled": to_builtins(compiled)}
    output.write_text(json.dumps(asdict(make_report("c_target", body, {}))) + "\n")


if __name__ == "__main__":
    main()
