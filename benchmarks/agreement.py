"""Does `edgecnn bench` measure what others measure: a bare loop, and MLPerf's LoadGen?

Three kinds of fresh processes take turns there and back, two of each: edgecnn's worker, a loop of
`onnxruntime.InferenceSession.run` with nothing of edgecnn in it, and a worker whose session is
driven by LoadGen's SingleStream. All run the same file on the same images, and name the outputs
that they want: `run(None, …)` looks them up anew in each call, for 0.4 µs. The noise floor comes
from edgecnn's worker against edgecnn's worker.

LoadGen calls into Python for each query. What that takes with nothing to do is measured in each
process, and its figure is given as it is and with that taken off; beside it stands the call alone,
timed inside the callback. That call is slower too, by 1 µs and more: what LoadGen does between two
of them leaves colder caches behind, as does any program that works between calls. Prints a table in
Markdown; every turn goes to results/.

    python benchmarks/agreement.py runs/lenet runs/resnet8
    python benchmarks/agreement.py runs/lenet --variant fp32 --replicates 3 --duration 10s
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from edgecnn.benchmark.engine import Place, Subject
from edgecnn.benchmark.estimate import (
    LEAST_FLOOR,
    alone,
    contrast,
    noise_floor,
    ratio_interval,
)
from edgecnn.benchmark.jobs import bundle_job
from edgecnn.benchmark.plan import make_plan
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup
from edgecnn.benchmark.scenarios import LoadGenTest
from edgecnn.benchmark.scenarios.loadgen import ask, ask_nothing
from edgecnn.benchmark.scenarios.loadgen_driver import make_settings
from edgecnn.bundle import open_bundle
from edgecnn.reports import make_report
from edgecnn.stats import percentile
from edgecnn.units import seconds
from edgecnn.worker import Worker

TURN_SECONDS = 0.08
LEAD_SECONDS = 0.003
SPIN_SECONDS = 0.05  # threads spin on after a call, if there is more than one
WARM_TURNS = 3
FEWEST_BLOCKS = 3
BARE = """
import json, os, sys, time
from itertools import cycle
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np, onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
name = os.path.basename(sys.argv[2]).removesuffix(".npy")
feeds = cycle([{name: batch} for batch in np.load(sys.argv[2])])
for line in sys.stdin:
    lead, length = map(float, line.split())
    times = []
    for length in (lead, length):
        times, end = [], time.perf_counter() + length
        while time.perf_counter() < end:
            feed = next(feeds)
            start = time.perf_counter_ns()
            session.run(names, feed)
            times.append(time.perf_counter_ns() - start)
    print(json.dumps(times), flush=True)
"""
LANES = ("edgecnn", "bare loop", "LoadGen", "LoadGen", "bare loop", "edgecnn")


@dataclass(frozen=True)
class Turn:
    """One turn of one process; times in nanoseconds.

    Attributes:
        lane: What took it.
        replicate: Counted from 0.
        block: Counted from 0 in each replicate.
        process: Its place in the replicate.
        calls: Timed calls, or LoadGen's queries.
        median_ns: Median; LoadGen's own in its turns.
        p90_ns: 90th percentile; None of too few.
        call_ns: In LoadGen's turns the median of the calls inside the callback.
        empty_ns: In LoadGen's turns its median for a callback that has nothing to do.
    """

    lane: str
    replicate: int
    block: int
    process: int
    calls: int
    median_ns: float
    p90_ns: float | None
    call_ns: float | None = None
    empty_ns: int | None = None


@dataclass(frozen=True)
class Row:
    """What another way of measuring found, over what edgecnn did.

    Attributes:
        what: The other way.
        ours_us: edgecnn's median of the turns' medians.
        theirs_us: The other's.
        ratio: Theirs over ours.
        low: Lower end of its 95 % interval.
        high: Upper end.
        noise_floor: Of edgecnn against edgecnn, as a share.
        agrees: The ratio lies within the noise floor, or within 1 %.
    """

    what: str
    ours_us: float
    theirs_us: float
    ratio: float
    low: float
    high: float
    noise_floor: float
    agrees: bool


Take = Callable[[], Turn]


def main() -> None:
    options = arguments()
    results = []
    print("| net | measured by | edgecnn, µs | other, µs | ratio | 95 % interval | noise floor | |")
    print("|---|---|---|---|---|---|---|---|")
    for name, subject in subjects(options):
        turns = list(measure(subject, options))
        rows = summary(turns)
        for row in rows:
            print(line(name, row), flush=True)
        found = {"rows": list(map(asdict, rows)), "turns": list(map(asdict, turns))}
        results.append({"net": name, "threads": options.threads, **found})
        report = make_report("agreement", {"results": results}, {})
        options.output.write_text(json.dumps(asdict(report)) + "\n")
    print(options.output)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--variant", action="append", default=[], help="by default all of them")
    parser.add_argument("--replicates", type=int, default=8, help="rounds of fresh processes")
    parser.add_argument("--duration", type=seconds, default=40.0, help="of turns, for each variant")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = Path(__file__).parent / "results"
    options.output = options.output or results / f"agreement-{date.today()}.json"
    return options


def subjects(options: argparse.Namespace) -> Iterator[tuple[str, Subject]]:
    place = Place("ort", "cpu", options.threads)
    for folder in options.bundles:
        job = bundle_job(open_bundle(folder), options.variant, 1, place, make_plan())
        for subject in job.subjects:
            yield f"{folder.name} {subject.name}", subject


def measure(subject: Subject, options: argparse.Namespace) -> Iterator[Turn]:
    length = options.duration / options.replicates
    for replicate in range(options.replicates):
        with ExitStack() as stack:
            takes = opened(subject, replicate, stack)
            for take in takes * WARM_TURNS:
                take()
            began, block = time.perf_counter(), 0
            while block < FEWEST_BLOCKS or time.perf_counter() - began < length:
                start = block % len(takes)
                there = [*takes[start:], *takes[:start]]
                for take in (*there, *reversed(there)):
                    yield replace(take(), block=block)
                    time.sleep(SPIN_SECONDS if options.threads > 1 else 0)
                block += 1


def opened(subject: Subject, replicate: int, stack: ExitStack) -> list[Take]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    takes: list[Take] = []
    for process, lane in enumerate(LANES):
        turn = Turn(lane, replicate, 0, process, 0, 0, None)
        if lane == "bare loop":
            # The images come from a worker that was opened before.
            takes.append(partial(bare_turn, turn, bare(subject, folder, stack)))
            continue
        worker = open_worker(subject, folder, stack)
        if lane == "edgecnn":
            takes.append(partial(own_turn, turn, worker))
        else:
            empty = worker.carry_out(ask_nothing)
            about = median(worker.run_for(TURN_SECONDS).times_ns) / 1e9
            takes.append(partial(loadgen_turn, replace(turn, empty_ns=empty), worker, about))
    return takes


def open_worker(subject: Subject, folder: Path, stack: ExitStack) -> Worker:
    worker = stack.enter_context(Worker())
    place = subject.place
    what = worker.open(subject.variant, provider=place.provider, threads=place.threads)
    batches = subject.batches(what)
    (name,) = batches[0]
    np.save(folder / f"{name}.npy", np.stack([batch[name] for batch in batches]))
    worker.feed(batches)
    return worker


def bare(subject: Subject, folder: Path, stack: ExitStack) -> subprocess.Popen[str]:
    (file,) = subject.variant.files
    (images,) = folder.glob("*.npy")
    command = [sys.executable, "-c", BARE, file, str(images), str(subject.place.threads)]
    pipe = subprocess.PIPE
    return stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))


def bare_turn(turn: Turn, process: subprocess.Popen[str]) -> Turn:
    assert process.stdin is not None
    assert process.stdout is not None
    print(LEAD_SECONDS, TURN_SECONDS, file=process.stdin, flush=True)
    return timed(turn, json.loads(process.stdout.readline()))


def own_turn(turn: Turn, worker: Worker) -> Turn:
    return timed(turn, worker.run_for(TURN_SECONDS, lead_seconds=LEAD_SECONDS).times_ns)


def timed(turn: Turn, times: Sequence[int]) -> Turn:
    return replace(turn, calls=len(times), median_ns=median(times), p90_ns=percentile(times, 0.9))


def loadgen_turn(turn: Turn, worker: Worker, about: float) -> Turn:
    settings = make_settings(LoadGenTest("single-stream"), about, None, TURN_SECONDS)
    task = partial(ask, settings=settings, replicate=turn.replicate)
    times, log = worker.carry_out(task, TURN_SECONDS)
    p50, p90 = (log.latencies_ns[key] for key in ("50", "90"))
    return replace(turn, calls=log.queries, median_ns=p50, p90_ns=p90, call_ns=median(times))


def summary(turns: Sequence[Turn]) -> list[Row]:
    ways: tuple[tuple[str, str, Callable[[Turn], float]], ...] = (
        ("bare loop of `session.run`", "bare loop", lambda turn: turn.median_ns),
        ("LoadGen SingleStream, as it is", "LoadGen", lambda turn: turn.median_ns),
        (
            "LoadGen, its callback taken off",
            "LoadGen",
            lambda turn: turn.median_ns - (turn.empty_ns or 0),
        ),
        (
            "the call inside LoadGen's callback",
            "LoadGen",
            lambda turn: turn.call_ns or turn.median_ns,
        ),
    )
    return [row(what, lane, turns, figure) for what, lane, figure in ways]


def row(what: str, lane: str, turns: Sequence[Turn], figure: Callable[[Turn], float]) -> Row:
    samples = as_samples(turns, lane, figure)
    found, floor = contrast(samples, "edgecnn", lane), noise_floor(alone(samples, "edgecnn"))
    ratio = ratio_interval(found)
    ours, theirs = (median(samples.times_ns(name)) / 1e3 for name in ("edgecnn", lane))
    agrees = abs(ratio.estimate - 1) <= max(floor, LEAST_FLOOR)
    return Row(what, ours, theirs, ratio.estimate, ratio.low, ratio.high, floor, agrees)


def as_samples(turns: Sequence[Turn], lane: str, figure: Callable[[Turn], float]) -> Samples:
    """Give turns of edgecnn and of one other lane as the engine keeps them."""
    replicates = 1 + max(turn.replicate for turn in turns)
    unknown = Warmup(0, None)
    sessions = tuple(
        SessionRecord(each, replicate, 0, 0, 0, 0, unknown)
        for replicate in range(replicates)
        for each in LANES
    )
    blocks: dict[tuple[int, int], list[Leg]] = {}
    for turn in turns:
        if turn.lane in ("edgecnn", lane):
            value = round(figure(turn) if turn.lane == lane else turn.median_ns)
            session = turn.replicate * len(LANES) + turn.process
            leg = Leg(session, 0.0, [value], 0, 0, idle=True)
            blocks.setdefault((turn.replicate, turn.block), []).append(leg)
    return Samples(sessions, tuple(Block(n, tuple(legs)) for (n, _), legs in blocks.items()))


def line(net: str, row: Row) -> str:
    verdict = "agrees within it" if row.agrees else f"differs by {100 * (row.ratio - 1):+.1f} %"
    return (
        f"| {net} | {row.what} | {row.ours_us:.2f} | {row.theirs_us:.2f} | {row.ratio:.4f} "
        f"| {row.low:.4f} to {row.high:.4f} | {100 * row.noise_floor:.1f} % | {verdict} |"
    )


if __name__ == "__main__":
    main()
