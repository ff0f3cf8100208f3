"""Sequential halving: in each round the slower half of the candidates goes home.

The candidates are few (tens) and discrete, and what is measured of each is noisy. Sequential
halving spends the same time on every round, and so ever more on those that are left; it finds the
best of n arms with nearly the fewest measurements that any method needs (Z. Karnin, T. Koren and
O. Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013; K. Jamieson and
A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS
2016). A model of the space, as Optuna's TPE has, learns from tens of trials what to try next: here
nearly the whole space fits into the first round, and its samplers know nothing of a measurement
that is a ratio to something measured beside it.

What was measured of a candidate in one round is kept in the next. The best of many looks better
than it is, so nothing here decides: that does a second run with samples of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from edgecnn.benchmark.estimate import Contrast, contrast
from edgecnn.benchmark.samples import Samples

# The default and so many others are alive at once, in two processes each.
TOGETHER = 4
_MOST_REPLICATES = 8

# Measures the named candidates beside the default, so many replicates; in one piece or several.
Measure = Callable[[tuple[str, ...], int], Sequence[Samples]]


@dataclass
class Standings:
    """What is known of each candidate so far.

    Attributes:
        default: Name of what all are compared with.
        found: How each compares with it, all rounds together.
        failures: Why some could not be measured, by name.
    """

    default: str
    found: dict[str, Contrast] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, names: Sequence[str], samples: Samples) -> None:
        """Take up what was measured of some candidates."""
        self.failures |= {
            failure.variant: failure.problem
            for failure in samples.failures
            if failure.variant in names
        }
        for name in names:
            new = contrast(samples, self.default, name)
            if new.ratios:
                old = self.found.get(name, Contrast((), (), 0))
                both = (old.ratios + new.ratios, old.nulls + new.nulls, old.blocks + new.blocks)
                self.found[name] = Contrast(*both)

    def ratio(self, name: str) -> float:
        """Give a candidate's time over the default's; infinite where it is not known or failed."""
        if name == self.default:
            return 1.0
        if name not in self.found or name in self.failures:
            return math.inf
        return math.exp(fmean(self.found[name].ratios))

    def ranked(self, names: Sequence[str]) -> list[str]:
        """Sort candidates that were measured, the fastest first; of equals the one named first."""
        known = [name for name in names if math.isfinite(self.ratio(name))]
        return sorted(known, key=self.ratio)


@dataclass(frozen=True)
class Halved:
    """One round.

    Attributes:
        measured: Those that were measured in it.
        replicates: How often each was opened anew.
        kept: Those that go on, the fastest first.
    """

    measured: tuple[str, ...]
    replicates: int
    kept: tuple[str, ...]


class Clock:
    """Time that may be spent, and what a replicate of one candidate was seen to take.

    Args:
        now: Gives the time in seconds.
        guess: What a replicate of one candidate takes, before any was measured.
    """

    def __init__(self, now: Callable[[], float], guess: float = 1.5) -> None:
        self.now = now
        self._spent = 0.0
        self._count = 0
        self._guess = guess

    @property
    def each(self) -> float:
        """Seconds that a replicate of one candidate takes."""
        return self._spent / self._count if self._count else self._guess

    def saw(self, seconds: float, count: int) -> None:
        """Take up how long so many replicates took."""
        self._spent += seconds
        self._count += count


def groups(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Divide candidates into groups that are measured side by side, as even as can be."""
    count = math.ceil(len(names) / TOGETHER)
    size = math.ceil(len(names) / count) if count else 1
    return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


def halve(
    names: Sequence[str],
    standings: Standings,
    measure: Measure,
    clock: Clock,
    deadline: float,
    *,
    keep: int = 2,
    heard: Callable[[Halved], None] = lambda round_: None,
) -> list[str]:
    """Let candidates race against the default until few are left or the time is over.

    A group is begun only if it should end in time, but for the very first one.

    Args:
        names: The candidates without the default, those first that are to be measured even if the
            time does not suffice for all.
        standings: What is known of them; more is added.
        measure: Measures some beside the default.
        clock: The time, and what a replicate takes.
        deadline: When the last round should have ended.
        keep: How many may be left.
        heard: Called after each round.

    Returns:
        Those that are left, the fastest first; all of them were measured.
    """
    left, first = list(names), True
    rounds = max(1, math.ceil(math.log2(max(1, len(names)) / keep)) + 1)
    while left and rounds:
        share = max(0.0, deadline - clock.now()) / rounds
        replicates = _replicates(share, len(left), clock.each)
        done = list[str]()
        for group in groups(left):
            cost = clock.each * replicates * (len(group) + 1)
            if not first and clock.now() + cost > deadline:
                break
            _measure(group, replicates, standings, measure, clock)
            done += group
            first = False
        if not done:
            break
        kept = standings.ranked(left)
        # The last round measures those that are left once more.
        kept = kept[: max(keep, math.ceil(len(kept) / 2))] if rounds > 1 else kept[:keep]
        heard(Halved(tuple(done), replicates, tuple(kept)))
        left, rounds = kept, rounds - 1
    return standings.ranked(left)[:keep]


def _replicates(seconds: float, candidates: int, each: float) -> int:
    openings = candidates + math.ceil(candidates / TOGETHER)  # the default runs in each group
    return max(1, min(_MOST_REPLICATES, int(seconds / (openings * each))))


def _measure(
    group: tuple[str, ...], replicates: int, standings: Standings, measure: Measure, clock: Clock
) -> None:
    began = clock.now()
    for samples in measure(group, replicates):
        standings.add(group, samples)
    clock.saw(clock.now() - began, replicates * (len(group) + 1))


def merged(base: Mapping[str, str], changes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Put options together: of two changes of the same option, the first counts."""
    found = dict(base)
    for change in changes:
        found |= {name: value for name, value in change.items() if name not in found}
    return found
