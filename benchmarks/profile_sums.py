"""Do the operators' times of `edgecnn profile` sum to a run, and do they come out alike each time?

Each net is profiled several times, in fresh processes. Kept in results/: what a run takes,
what of it is in operators and in calling, what is left, and how far each operator's time is from
its median over the repeats.

    python benchmarks/profile_sums.py
    python benchmarks/profile_sums.py --threads 2 runs/lenet/int8.onnx
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median

from nets import lenet, resnet8

import edgecnn
from edgecnn.profiling import VariantProfile
from edgecnn.reports import make_report

NETS = {"lenet": lenet, "resnet8": resnet8}


@dataclass(frozen=True)
class Row:
    """A net's profiles.

    Attributes:
        net: The model.
        threads: Threads within an operator.
        timing: How operators were timed.
        latency_us: What a run takes; one for each repeat, as all that follow.
        operators_us: What of it is in operators.
        call_us: What of it is outside operators.
        unattributed_us: What is left.
        worst_us: How far the operator that varies most lies from its own median, at most.
    """

    net: str
    threads: int
    timing: str
    latency_us: list[float]
    operators_us: list[float]
    call_us: list[float]
    unattributed_us: list[float]
    worst_us: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--duration", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, path in _files(options.files, Path(folder)):
            rows.append(_row(name, path, options))
            print(_line(rows[-1]), flush=True)
    report = make_report("profile_sums", {"rows": [asdict(row) for row in rows]}, {})
    target = Path(__file__).parent / "results" / f"profile_sums-{date.today()}.json"
    target.write_text(json.dumps(asdict(report), indent=1))
    print(target)


def _files(given: list[Path], folder: Path) -> Iterator[tuple[str, Path]]:
    if given:
        yield from ((str(path), path) for path in given)
        return
    for name, make in NETS.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(make())
        yield name, path


def _row(name: str, path: Path, options: argparse.Namespace) -> Row:
    found: list[VariantProfile] = []
    for _ in range(options.repeats):
        report = edgecnn.profile(path, threads=options.threads, duration=options.duration)
        found += report.variants
    operators = zip(*(one.operators for one in found), strict=True)
    times = [[each.seconds for each in same] for same in operators]
    return Row(
        net=name,
        threads=options.threads,
        timing=found[0].timing,
        latency_us=[1e6 * one.latency_seconds for one in found],
        operators_us=[1e6 * one.operators_seconds for one in found],
        call_us=[1e6 * one.call_seconds for one in found],
        unattributed_us=[1e6 * one.unattributed_seconds for one in found],
        worst_us=1e6 * max(abs(t - median(same)) for same in times for t in same),
    )


def _line(row: Row) -> str:
    left = [u / t for u, t in zip(row.unattributed_us, row.latency_us, strict=True)]
    return (
        f"{row.net}: {median(row.latency_us):.1f} µs a run ({row.timing}); operators "
        f"{median(row.operators_us):.1f}, calling {median(row.call_us):.1f}, left "
        f"{median(row.unattributed_us):+.1f} ({100 * median(left):+.1f} %, at most "
        f"{100 * max(map(abs, left)):.1f} %); an operator differs by up to {row.worst_us:.1f} µs"
    )


if __name__ == "__main__":
    main()
