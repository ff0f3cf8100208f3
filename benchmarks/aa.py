"""How often does `edgecnn bench` see a difference that is none, and does it see one that is there?

A model is compared with a copy of itself, many times (A/A): each comparison that names a winner is
a false one. The same model is then compared with a copy that a runtime slows down by a known share:
each comparison that names it slower is a find. Nothing is left out; every comparison is kept in
results/ with its ratio, interval, noise floor and time taken.

    python benchmarks/aa.py --pin --false 200 --found 100 --slower 5 --budget 8s
    python benchmarks/aa.py --pin --false 0 --found 30 --slower 2 --budget 8s --budget 16s
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
from nets import lenet, resnet8

from edgecnn.benchmark.engine import Place, Run, Subject
from edgecnn.benchmark.estimate import compare, contrast
from edgecnn.benchmark.plan import make_plan
from edgecnn.conditions import pick_cores
from edgecnn.reports import make_report
from edgecnn.runtime import Variant, plain_file
from edgecnn.stats import wilson
from edgecnn.units import seconds, time_text

SLOWED = str(Path(__file__).parent / "slowed")
NETS = {"lenet": lenet, "resnet8": resnet8}


@dataclass(frozen=True)
class Row:
    """One comparison of a model with a copy of itself.

    Attributes:
        net: The model.
        pinned: All processes shared one CPU.
        slower: By how much the copy was slowed down, as a share.
        budget_seconds: What the comparison was allowed to take.
        seconds: What it took.
        ratio: The copy's time over the model's.
        low: Lower end of the ratio's interval.
        high: Upper end.
        noise_floor: As a share.
        outcome: What the copy was called.
    """

    net: str
    pinned: bool
    slower: float
    budget_seconds: float
    seconds: float
    ratio: float
    low: float
    high: float | None
    noise_floor: float
    outcome: str


def main() -> None:
    options = arguments()
    rows = list[Row]()
    with tempfile.TemporaryDirectory() as folder:
        files = {net: write(Path(folder), net) for net in NETS}
        for row in measure(files, options):
            rows.append(row)
            print(f"{row.net:8} {row.ratio:.4f} floor {row.noise_floor:.4f} {row.outcome}")
            keep(rows, options.output)
    print(summary(rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--false", type=int, default=200, help="comparisons with nothing to see")
    parser.add_argument("--found", type=int, default=100, help="comparisons with something to see")
    parser.add_argument("--slower", type=float, default=5.0, help="how much slower, in per cent")
    parser.add_argument("--budget", type=seconds, action="append", help="for each comparison")
    parser.add_argument("--pin", action="store_true", help="as `edgecnn bench --pin`")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.budget = options.budget or [8.0]
    day = date.today().isoformat()
    options.output = options.output or Path(__file__).parent / "results" / f"aa-{day}.json"
    return options


def write(folder: Path, net: str) -> Variant:
    file = folder / f"{net}.onnx"
    file.write_bytes(NETS[net]())
    return plain_file(str(file))


def measure(files: dict[str, Variant], options: argparse.Namespace) -> Iterator[Row]:
    nets = list(files)
    for budget in options.budget:
        # In turn, so that a noisy hour strikes both kinds alike.
        kinds = [0.0] * options.false + [options.slower / 100] * options.found
        for number, slower in enumerate(np.random.default_rng(0).permutation(kinds).tolist()):
            net = nets[number % len(nets)]
            yield comparison(files[net], net, slower, budget, pin=options.pin)


def comparison(variant: Variant, net: str, slower: float, budget: float, *, pin: bool) -> Row:
    began = time.perf_counter()
    image = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
    feed = [{"input": image}]
    place = Place(runtime=SLOWED, threads=1, cores=pick_cores(1) if pin else None)
    slowed = replace(place, options={"slower": f"{slower}"})
    subjects = [
        Subject("a", variant, lambda opened: feed, place),
        Subject("b", variant, lambda opened: feed, slowed),
    ]
    run = Run(subjects, make_plan(budget=budget), lambda: None, lambda text, share: None)
    run.go()
    a, b = (median(run.samples.times_ns(name)) / 1e9 for name in "ab")
    found = compare("a", "b", (a, b), contrast(run.samples, "a", "b"))
    return Row(
        net=net,
        pinned=pin,
        slower=slower,
        budget_seconds=budget,
        seconds=time.perf_counter() - began,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        noise_floor=found.noise_floor,
        outcome=found.outcome,
    )


def keep(rows: Sequence[Row], output: Path) -> None:
    output.parent.mkdir(exist_ok=True)
    report = make_report("aa", {"rows": [asdict(row) for row in rows]}, {})
    output.write_text(json.dumps(asdict(report)) + "\n")


def summary(rows: Sequence[Row]) -> str:
    lines = ["| budget | slowed by | comparisons | named slower or faster | share | noise floor |"]
    lines += ["|---|---|---|---|---|---|"]
    for budget in sorted({row.budget_seconds for row in rows}):
        for slower in sorted({row.slower for row in rows}):
            own = [r for r in rows if (r.budget_seconds, r.slower) == (budget, slower)]
            if own:
                lines.append(line(own, budget, slower))
    return "\n".join(lines)


def line(rows: Sequence[Row], budget: float, slower: float) -> str:
    right = ("slower",) if slower else ("slower", "faster")
    named = sum(row.outcome in right for row in rows)
    share = wilson(named, len(rows))
    floor = median(row.noise_floor for row in rows)
    return (
        f"| {time_text(budget)} | {100 * slower:g} % | {len(rows)} | {named} "
        f"| {100 * share.estimate:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] "
        f"| {100 * floor:.1f} % |"
    )


if __name__ == "__main__":
    main()
