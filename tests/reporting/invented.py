"""Reports that could have been, of any number of classes and variants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgecnn.benchmark import BenchReport
from edgecnn.benchmark.plan import Leg as PlannedLeg
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.report import Setup
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup
from edgecnn.benchmark.scenarios.arrival import ArrivalLatency
from edgecnn.benchmark.scenarios.concurrency import Throughput
from edgecnn.benchmark.scenarios.end_to_end import EndToEnd
from edgecnn.benchmark.scenarios.energy import Energy
from edgecnn.benchmark.scenarios.idle import IdleLatency
from edgecnn.benchmark.scenarios.loadgen import Agreement, LoadGenResult
from edgecnn.benchmark.scenarios.report import NotMeasured, ScenarioReport
from edgecnn.benchmark.summing import Measured, sum_up
from edgecnn.data import Split
from edgecnn.evaluation import (
    ClassAccuracy,
    EvalReport,
    VariantAccuracy,
    compare_answers,
)
from edgecnn.evaluation.worst import Said, confidence_bins, disagreements, mistakes, pictures
from edgecnn.profiling import (
    Inserted,
    OperatorProfile,
    Peak,
    Peaks,
    ProfileReport,
    ProfileSetup,
    Unfused,
    VariantProfile,
)
from edgecnn.stats import Interval, wilson

LONG = "a_name_of_sixty_letters_that_ends_like_this_and_then_goes_on"
SCRIPTS = ("飞机与所有其他会飞的东西", "автомобиль", "طائر", "बिल्ली", "사슴", "הכלב", "πέτρα", "ม้า")


def evaluated(labels: Sequence[str], variants: Sequence[str], images: int = 400) -> EvalReport:
    """Give what nets of these variants could have answered; each is a little worse."""
    random = np.random.default_rng(0)
    count = len(labels)
    truth = random.integers(0, count, images)
    pixels = random.integers(0, 256, (images, 8, 8, 3), np.uint8)
    said = []
    scores = random.normal(size=(images, count)) + 3 * np.eye(count)[truth]
    for name in variants:
        powers = np.exp(scores)
        probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        said.append(Said(name, probabilities, probabilities.argmax(axis=1)))
        scores = scores + random.normal(scale=0.4, size=scores.shape)
    wrong = tuple(mistakes(one, truth) for one in said)
    differing = tuple(disagreements(said[0], one) for one in said[1:])
    return EvalReport(
        data="invented",
        source="here",
        split="test",
        split_sha256="0" * 64,
        images=images,
        labels=tuple(labels),
        variants=tuple(_accuracy(one, tuple(labels), truth) for one in said),
        comparisons=tuple(
            compare_answers(said[0].name, one.name, said[0].answers, one.answers, truth)
            for one in said[1:]
        ),
        measured={},
        notes=(),
        mistakes=wrong,
        disagreements=differing,
        pictures=pictures(Split(pixels, truth), "rgb", [*differing, *wrong]),
    )


def _accuracy(said: Said, labels: tuple[str, ...], truth: np.ndarray) -> VariantAccuracy:
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, said.answers), 1)
    rows = [(int(row.sum()), int(row[index])) for index, row in enumerate(confusion)]
    correct = int(confusion.trace())
    return VariantAccuracy(
        name=said.name,
        runtime="ort",
        provider="cpu",
        images=len(truth),
        correct=correct,
        accuracy=wilson(correct, len(truth)),
        classes=tuple(
            ClassAccuracy(label, of, right, wilson(right, of) if of else None)
            for label, (of, right) in zip(labels, rows, strict=True)
        ),
        confusion=tuple(map(tuple, confusion.tolist())),
        confidence=confidence_bins(said, truth),
    )


def timed(
    variants: Sequence[str], *, calls: int = 40, factor: float = 0.7, scenarios: bool = False
) -> BenchReport:
    """Give what a bench of these variants could have found; each takes `factor` of the last."""
    random = np.random.default_rng(1)
    sessions: list[SessionRecord] = []
    blocks: list[Block] = []
    for replicate in range(3):
        lanes = [len(sessions) + place for place in range(2 * len(variants))]
        for name in (*variants, *variants):
            warmup = Warmup(50, steady=True)
            start = (0.2, 0.15, 0.03, 0.002, warmup, 60_000_000, 70_000_000)
            sessions.append(SessionRecord(name, replicate, *start))
        for number in range(4):
            at = 20 * replicate + 3 * number
            legs = [
                _leg(session, place, len(variants), at, calls, factor, random)
                for place, session in enumerate([*lanes, *lanes[::-1]])
            ]
            blocks.append(Block(replicate, tuple(legs)))
    measured = [Measured(name, "fp32", 250_000, "ort/cpu", 1) for name in variants]
    return sum_up(
        Samples(tuple(sessions), tuple(blocks)),
        measured,
        [(variants[0], other) for other in variants[1:]],
        Setup("ort", "cpu", 1, {"onnxruntime": "1"}, 1, "8 golden images"),
        Plan(6.0, 3, PlannedLeg(0.03, 3), None, None),
        scenarios=scenario_report(variants) if scenarios else None,
    )


def _leg(
    session: int,
    place: int,
    variants: int,
    at: float,
    calls: int,
    factor: float,
    random: np.random.Generator,
) -> Leg:
    lanes = 2 * variants
    lane = place if place < lanes else 2 * lanes - 1 - place
    base = 3e5 * factor ** (lane % variants)
    times = (base * (1 + random.gamma(1.5, 0.03, calls))).astype(int).tolist()
    return Leg(session, at + place / 10, times, sum(times), 1000, idle=True)


def scenario_report(variants: Sequence[str]) -> ScenarioReport:
    """Give scenarios, with an interval that nothing bounds and figures that are lacking."""
    wide = Interval(4e-4, 1e-9, 300.0)
    near = Interval(4e-4, 3.5e-4, 4.6e-4)
    return ScenarioReport(
        replicates=2,
        idle=tuple(
            IdleLatency(name, pause, 9, 4e-4, None, 9e-4, wide, 2e-4, near, 3, ())
            for name in variants
            for pause in (0.05, 10.0)
        ),
        arrivals=_arrivals(variants, wide, near),
        concurrency=_throughputs(variants),
        end_to_end=tuple(
            EndToEnd(
                name,
                "8 of the model's own images as JPEG",
                40,
                9e-4,
                1e-3,
                None,
                near,
                3e-4,
                1e-4,
                5e-5,
                4e-4,
                4e-4,
                near,
                Interval(2.2, 2.0, 2.5),
                (),
            )
            for name in variants
        ),
        energy=tuple(
            Energy(name, "package-0", 99, Interval(2e-3, 1e-3, 3e-3), 30.0, 12.0, ())
            for name in variants
        ),
        not_measured=(NotMeasured("after 1min idle", "it does not fit", "Raise --budget."),),
        loadgen=_loadgen(variants, wide, near),
    )


def _arrivals(
    variants: Sequence[str], wide: Interval, near: Interval
) -> tuple[ArrivalLatency, ...]:
    return tuple(
        ArrivalLatency(
            variant=name,
            arrival="periodic:30",
            rate=30,
            waiting=waiting,
            arrivals=90,
            median_seconds=6e-4,
            p90_seconds=1e-3,
            p95_seconds=None,
            p99_seconds=None,
            interval=wide,
            call_seconds=4e-4,
            call_interval=near,
            deadline_seconds=1 / 30,
            missed=wilson(2, 90),
            busy_share=0.1,
            keeps_up=waiting == "sleeping",
            cpu_seconds=1e-3,
            turns=(),
        )
        for name in variants
        for waiting in ("sleeping", "watching")
    )


def _loadgen(variants: Sequence[str], wide: Interval, near: Interval) -> tuple[LoadGenResult, ...]:
    ratio = Interval(1.05, 1.04, 1.06)
    single = LoadGenResult(
        variant="",
        scenario="single-stream",
        loadgen="6",
        valid=True,
        reasons=(),
        seconds=0.9,
        rate=None,
        bound_seconds=None,
        samples_per_query=1,
        images_per_sample=1,
        queries=999,
        samples_per_second=near,
        median_seconds=4e-4,
        p90_seconds=5e-4,
        p99_seconds=None,
        interval=near,
        agreement=Agreement(4e-4, 4e-4, 2e-6, ratio, ratio),
        note="No MLPerf submission",
        turns=(),
    )
    server = {"valid": False, "reasons": ("Reduce target QPS",), "rate": 9.0, "bound_seconds": 4e-3}
    others: tuple[dict[str, Any], ...] = (
        {"scenario": "offline", "median_seconds": None, "p90_seconds": None, "interval": None},
        {"scenario": "server", "interval": wide, **server},
    )
    rows = (single, *(replace(single, agreement=None, **other) for other in others))
    return tuple(replace(row, variant=name) for name in variants for row in rows)


def _throughputs(variants: Sequence[str]) -> tuple[Throughput, ...]:
    return tuple(
        Throughput(
            name,
            callers,
            "-",
            99,
            Interval(rate, 1, 1e9),
            None,
            4e-4,
            None,
            None,
            1.0,
            None,
            agrees=True,
            turns=(),
        )
        for name in variants
        for callers, rate in ((1, 2000.0), (2, 3500.0), (4, 3600.0))
    )


def profiled(variants: Sequence[str], layers: Sequence[str]) -> ProfileReport:
    """Give what a profile could have found of these layers."""
    peaks = Peaks(
        threads=1,
        runtime="ort 1",
        cpu="invented",
        measured="2030-01-01T00:00:00+00:00",
        cached=False,
        arithmetic=(Peak("fp32", 1e11, 0.02, "matrix product"), Peak("int8", 4e11, 0.02, "same")),
        memory=(Peak("L2", 6e10, 0.1, "a + b", 2**20), Peak("DRAM", 2e10, 0.1, "a + b")),
        dispatch_seconds=3e-7,
        call_seconds=5e-6,
        clock_seconds=2e-6,
    )
    operators = tuple(_operator(place, layer) for place, layer in enumerate(layers))
    total = math.fsum(each.seconds for each in operators)
    return ProfileReport(
        ProfileSetup("ort", "cpu", 1, {}, 1, "golden images"),
        peaks,
        tuple(
            VariantProfile(
                variant=name,
                precision="fp32",
                runs=100,
                latency_seconds=total + 4e-6,
                profiled_seconds=2 * total,
                timing="profile",
                clock_seconds=2e-6,
                operators_seconds=total,
                call_seconds=5e-6,
                unattributed_seconds=-1e-6,
                operators=operators,
                bounds={"arithmetic": total / 2, "code": total / 2},
                unfused=(Unfused("act", "HardSigmoid", "it stays in float", 1e-6),),
                inserted=(Inserted("ReorderOutput", 1, 1e-6, "out of the blocked layout"),),
                removed=(),
                advice=("try `--threads 2` <b>",),
            )
            for name in variants
        ),
    )


def _operator(place: int, layer: str) -> OperatorProfile:
    bounds = ("arithmetic", "memory", "dispatch", "code")
    seconds = 0.0 if place == 2 else 1e-5 * (1 + place % 7)
    return OperatorProfile(
        name=f"node{place}",
        operator="com.microsoft:Conv",
        layers=(layer,) if layer else (),
        role="compute",
        seconds=seconds,
        low=0.9 * seconds,
        high=1.3 * seconds,
        share=seconds / 4e-4,
        shape=(1, 8),
        macs=1000,
        operations=int(4e5 * (1 + place % 5)),
        arithmetic="fp32",
        bytes_in=10_000 * (1 + place % 3),
        bytes_weights=500,
        bytes_out=700,
        memory="L2",
        bound=bounds[place % 4],  # type: ignore[arg-type]
        arithmetic_seconds=1e-6,
        memory_seconds=1e-6,
        dispatch_seconds=3e-7,
        reached=0.5,
        peak_share=0.4,
    )
