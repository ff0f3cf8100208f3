"""The README's table: four recipes on the real CIFAR-10 pictures, from training to int8.

Each recipe is trained (or its bundle is taken, if it is there), exported, quantized, checked for
parity, scored on the whole test split and measured, fp32 and int8 in turn, on one thread.

    python benchmarks/cifar10.py --data cifar10/ --runs runs/    # train/CLASS/*, test/CLASS/*
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.agreement import ParityReport
from edgecnn.benchmark import BenchReport
from edgecnn.disk import write_atomically
from edgecnn.machine import Machine, this_machine
from edgecnn.quantization import QuantizeReport
from edgecnn.records import to_json
from edgecnn.reports import read_report

RESULTS = Path(__file__).parent / "results"
RECIPES = ("lenet/tutorial", "lenet", "resnet8/cifar10", "mobilenet-tiny/cifar10")


@dataclass(frozen=True)
class Row:
    """One recipe, from training to int8.

    `trained` is the body of its train report; empty where the bundle was imported.
    """

    recipe: str
    trained: dict[str, Any]
    quantized: QuantizeReport
    parity: ParityReport
    bench: BenchReport


@dataclass(frozen=True)
class Result:
    """Everything measured, and on what."""

    created: str
    machine: Machine
    versions: dict[str, str]
    rows: tuple[Row, ...]


def main() -> None:
    """Carry every recipe through, keep the raw data, and print the table."""
    options = parse_options()
    rows = tuple(carry(recipe, options) for recipe in RECIPES)
    now = datetime.now(timezone.utc)
    versions = rows[0].bench.setup.versions
    result = Result(now.isoformat(timespec="seconds"), this_machine(), versions, rows)
    path = RESULTS / f"cifar10-{now:%Y-%m-%d}.json"
    write_atomically(path, to_json(result))
    print(markdown(result))
    print(f"Raw data: {path}")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with train/CLASS/* and test/CLASS/*")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the bundles are")
    parser.add_argument("--duration", type=float, default=20, help="seconds of measuring each")
    return parser.parse_args()


def carry(recipe: str, options: argparse.Namespace) -> Row:
    """Take one recipe from pictures to figures."""
    bundle = options.runs / recipe.replace("/", "-")
    if not bundle.exists():
        edgecnn.train(recipe, data=options.data, output=bundle)
    edgecnn.export(bundle)
    quantized = edgecnn.quantize(bundle, threads=1)
    agreed = edgecnn.parity(bundle, threads=1)
    measured = edgecnn.bench(bundle, threads=1, pin=True, duration=options.duration)
    return Row(recipe, train_report(bundle), quantized, agreed, measured)


def train_report(bundle: Path) -> dict[str, Any]:
    """Give what the last training of a bundle reported, without the places of its files."""
    reports = sorted(bundle.glob("reports/*-train-*.json"))
    if not reports:
        return {}
    body = read_report(reports[-1]).body
    return {name: value for name, value in body.items() if name not in {"bundle", "data", "model"}}


def markdown(result: Result) -> str:
    """Write the table for the README."""
    machine = result.machine
    lines = [
        f"Measured {result.created[:10]} on {machine.cpu} ({', '.join(machine.features)}), one "
        f"thread, batch 1, ONNX Runtime {result.versions.get('onnxruntime', '')}:",
        "",
        "| recipe | training | fp32 top-1 | int8 top-1 | same answer | size | fp32 | int8 / fp32 | "
        "noise floor | parity |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(line, result.rows),
    ]
    return "\n".join(lines)


def line(row: Row) -> str:
    """Write one row of the table."""
    fp32, int8, paired = row.quantized.fp32, row.quantized.int8, row.quantized.paired
    latency = row.bench.comparisons[0]
    seconds = row.trained.get("training_cpu_seconds")
    cells = [
        f"`{row.recipe}`",
        f"{seconds:,.0f} CPU s" if seconds else "imported",
        *(
            f"{100 * each.estimate:.2f} % [{100 * each.low:.1f}, {100 * each.high:.1f}]"
            for each in (fp32.accuracy, int8.accuracy)
        ),
        f"{100 * paired.same:.2f} %",
        f"{fp32.size / 1e3:.0f} → {int8.size / 1e3:.0f} kB",
        f"{1e6 * latency.first_median_seconds:.1f} µs",
        f"{latency.ratio:.2f} [{latency.low:.2f}, {latency.high:.2f}]",
        f"{100 * latency.noise_floor:.1f} %",
        row.parity.verdict.outcome,
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
