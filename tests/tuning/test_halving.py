"""Halving on simulated measurements: who goes home, what is spent on whom, and when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from edgecnn.benchmark.samples import Block, Failure, Leg, Samples, SessionRecord, Warmup
from edgecnn.tuning.halving import (
    TOGETHER,
    Clock,
    Halved,
    Standings,
    groups,
    halve,
    merged,
)

DEFAULT = "default"


@dataclass
class Machine:
    """Measures what it is told: times of calls in µs, with noise between fresh processes."""

    times: Mapping[str, float]
    crashing: frozenset[str] = frozenset()
    noise: float = 0.01
    seconds: float = 1.0
    now: float = 0.0
    replicates: Counter[str] = field(default_factory=Counter)
    together: list[int] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def measure(self, names: tuple[str, ...], replicates: int) -> Samples:
        """Give what the engine would."""
        every = (DEFAULT, *names)
        self.now += self.seconds * replicates * len(every)
        self.together.append(len(every))
        self.replicates.update(dict.fromkeys(names, replicates))
        alive = [name for name in every if name not in self.crashing]
        sessions, blocks = list[SessionRecord](), list[Block]()
        for replicate in range(replicates):
            lanes = []
            for name in (*alive, *reversed(alive)):
                level = self.times[name] * float(np.exp(self.random.normal(0, self.noise)))
                lanes.append((len(sessions), level))
                sessions.append(
                    SessionRecord(name, replicate, 0.1, 0.1, 0.1, 0.1, Warmup(10, steady=True))
                )
            blocks += [_block(replicate, lanes), _block(replicate, lanes)]
        gone = [Failure(name, f"{name} died.", "") for name in names if name in self.crashing]
        return Samples(tuple(sessions), tuple(blocks), (), tuple(gone))


def _block(replicate: int, lanes: list[tuple[int, float]]) -> Block:
    legs = [
        Leg(number, 0.0, [int(1000 * level)] * 3, 0, 0, idle=True)
        for number, level in (*lanes, *reversed(lanes))
    ]
    return Block(replicate, tuple(legs))


def race(
    machine: Machine, names: list[str], deadline: float, keep: int = 2
) -> tuple[list[str], Standings, list[Halved]]:
    standings, rounds = Standings(DEFAULT), list[Halved]()
    clock = Clock(lambda: machine.now, guess=machine.seconds)

    def measure(group: tuple[str, ...], replicates: int) -> list[Samples]:
        return [machine.measure(group, replicates)]

    left = halve(names, standings, measure, clock, deadline, keep=keep, heard=rounds.append)
    return left, standings, rounds


def a_field(count: int = 16) -> Machine:
    """The later, the faster; the last takes 0.7 of the default's time."""
    times = {f"c{n}": 100 * (1.45 - 0.05 * n) for n in range(count)}
    return Machine({DEFAULT: 100.0, **times})


def test_the_fastest_is_left_and_got_the_most_time() -> None:
    machine = a_field()
    names = [name for name in machine.times if name != DEFAULT]
    left, standings, rounds = race(machine, names, deadline=300)
    assert left[0] == "c15"
    assert standings.ratio("c15") == pytest.approx(0.7, rel=0.03)
    assert [len(each.measured) for each in rounds] == [16, 8, 4, 2]
    assert [len(each.kept) for each in rounds] == [8, 4, 2, 2]
    assert machine.replicates["c15"] >= 3 * machine.replicates["c0"]
    assert len(standings.found["c15"].ratios) == machine.replicates["c15"]


def test_so_few_are_alive_at_once() -> None:
    machine = a_field(9)
    race(machine, [name for name in machine.times if name != DEFAULT], deadline=200)
    assert max(machine.together) <= TOGETHER + 1
    assert [len(group) for group in groups([str(n) for n in range(9)])] == [3, 3, 3]


def test_it_ends_in_time_and_says_what_was_not_measured() -> None:
    machine = a_field()
    names = [name for name in machine.times if name != DEFAULT]
    left, standings, rounds = race(machine, names, deadline=12)
    assert machine.now <= 12
    assert set(standings.found) == set(rounds[0].measured) == set(names[:8])
    assert set(left) <= set(names[:8])


def test_without_any_time_one_group_is_measured_all_the_same() -> None:
    machine = a_field()
    left, _, _ = race(machine, ["c0", "c15"], deadline=0)
    assert left == ["c15", "c0"]
    assert machine.together == [3]


def test_one_that_crashes_goes_home_and_takes_nobody_along() -> None:
    machine = a_field(4)
    machine.crashing = frozenset({"c3"})
    left, standings, _ = race(machine, ["c0", "c1", "c2", "c3"], deadline=100)
    assert left == ["c2", "c1"]
    assert standings.failures == {"c3": "c3 died."}


def test_one_that_crashes_in_a_later_round_has_lost() -> None:
    machine, standings = a_field(2), Standings(DEFAULT)
    standings.add(("c0", "c1"), machine.measure(("c0", "c1"), 1))
    assert standings.ranked(["c0", "c1"]) == ["c1", "c0"]
    machine.crashing = frozenset({"c1"})
    standings.add(("c0", "c1"), machine.measure(("c0", "c1"), 1))
    assert standings.ranked(["c0", "c1"]) == ["c0"]


def test_chance_in_one_round_is_outweighed_by_later_ones() -> None:
    """With noise as large as the gap, more replicates find the better of two nearly always."""
    right = 0
    for seed in range(20):
        machine = Machine({DEFAULT: 100.0, "near": 98.0, "best": 95.0}, noise=0.03)
        machine.random = np.random.default_rng(seed)
        left, _, _ = race(machine, ["near", "best"], deadline=60)
        right += left[0] == "best"
    assert right >= 16


def test_options_that_gained_are_put_together() -> None:
    changes = [{"a": "2"}, {"b": "2"}, {"a": "3"}]
    assert merged({"c": "1"}, changes) == {"c": "1", "a": "2", "b": "2"}
