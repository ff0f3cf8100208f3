"""The search: engines first, then the options of the best of them, measured by the one engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from edgecnn.benchmark.engine import Batches, Place, Run, Subject
from edgecnn.benchmark.inputs import Images, bundle_images, describe, make_batches
from edgecnn.benchmark.jobs import Job
from edgecnn.benchmark.plan import Plan
from edgecnn.benchmark.samples import Failure, Samples
from edgecnn.bundle import Bundle
from edgecnn.errors import EdgeCNNError, RuntimeCrashed
from edgecnn.progress import Progress
from edgecnn.spec import Variant
from edgecnn.tuning.final import plan_of
from edgecnn.tuning.halving import Clock, Halved, Standings, halve, merged
from edgecnn.tuning.report import Candidate, Round
from edgecnn.tuning.space import neighbours
from edgecnn.worker import Opened

ENGINES, OPTIONS = "engines", "options"
# An engine that is slower by more than this does not make it up by its options.
_NEAR = 1.15
_KEPT = _MOST_BASES = 2
# What an option must gain to be of interest: less is no winner in any case.
_GAIN = 0.99
_FIRST_SHARE = 0.6


@dataclass
class Race:
    """What takes part, and how it stands.

    Attributes:
        bundle: The bundle.
        default: What all are compared with.
        batch_size: Images in one call.
        clock: The time, and what a replicate takes.
        progress: Told what is done; the share is that of the group.
        candidates: Everything that takes part or took part, by name.
        standings: What is known of each.
        rounds: What was done.
    """

    bundle: Bundle
    default: Candidate
    batch_size: int
    clock: Clock
    progress: Progress
    candidates: dict[str, Candidate] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.candidates[self.default.name] = self.default
        self.standings = Standings(self.default.name)
        self.images: Images = bundle_images(self.bundle)

    @property
    def what(self) -> str:
        """The images that are measured on, and how."""
        return describe(self.images, self.batch_size)

    def enter(self, candidates: Sequence[Candidate]) -> list[str]:
        """Let candidates take part, and give their names; one that is known already counts once."""
        names = [each.name for each in candidates]
        self.candidates |= dict(zip(names, candidates, strict=True))
        return [name for name in dict.fromkeys(names) if name != self.default.name]

    def job(self, names: Sequence[str], plan: Plan) -> Job:
        """Give what the engine measures: the default and some candidates."""
        every = [self.default.name, *names]
        subjects = tuple(self._subject(self.candidates[name]) for name in every)
        pairs = tuple((self.default.name, name) for name in names)
        return Job(subjects, pairs, self.what, self.batch_size, plan, own_images=self.images)

    def halve(
        self,
        stage: str,
        names: Sequence[str],
        deadline: float,
        keep: int = 2,
        base: Standings | None = None,
    ) -> list[str]:
        """Let candidates race until few are left; see `halving.halve`.

        Args:
            stage: What this part of the search is called.
            names: The candidates.
            deadline: When the last round should have ended.
            keep: How many may be left.
            base: How they stand against another candidate, which is then measured beside them too
                and takes the default's place as what they are compared with.
        """
        began = self.clock.now()
        standings = base or self.standings

        def heard(halved: Halved) -> None:
            nonlocal began
            seconds, began = self.clock.now() - began, self.clock.now()
            found = Round(stage, halved.measured, halved.replicates, halved.kept, seconds)
            self.rounds.append(found)

        def measure(group: tuple[str, ...], replicates: int) -> list[Samples]:
            if standings is self.standings:
                return self.measure(group, replicates)
            parts = self.measure(group, replicates, standings.default)
            for samples in parts:
                self.standings.add((standings.default, *group), samples)
            return parts

        return halve(names, standings, measure, self.clock, deadline, keep=keep, heard=heard)

    def measure(
        self, names: Sequence[str], replicates: int, base: str | None = None
    ) -> list[Samples]:
        """Measure candidates beside the default, and beside another one where that is named.

        What was measured before Ctrl-C counts.

        Returns:
            What was measured, in one piece; or each candidate alone where one of them cannot be
            opened, which is then a failure.

        Raises:
            RuntimeCrashed: The default crashed: nothing can be compared with it.
        """
        beside = [] if base is None else [base]
        plan = plan_of(replicates)
        run = Run(self.job([*beside, *names], plan).subjects, plan, _nothing, self.progress)
        try:
            run.go()
        except KeyboardInterrupt:
            self.standings.add([*beside, *names], run.samples)
            raise
        except EdgeCNNError as error:
            # The engine does not say whose fault it is.
            if len(names) > 1:
                return [part for name in names for part in self.measure([name], replicates, base)]
            failure = Failure(names[0], error.problem, error.remedy)
            return [replace(run.samples, failures=(*run.samples.failures, failure))]
        for failure in run.samples.failures:
            if failure.variant == self.default.name:
                raise RuntimeCrashed(failure.problem, failure.remedy)
        return [run.samples]

    def _subject(self, candidate: Candidate) -> Subject:
        variant, contract = self.bundle.locate(candidate.variant), self.bundle.manifest.contract
        place = Place(
            candidate.runtime, candidate.provider, candidate.threads, candidate.given or None
        )
        feed = partial(self._feed, variant)
        return Subject(candidate.name, variant, feed, place, contract=contract)

    def _feed(self, variant: Variant, opened: Opened) -> Batches:
        contract = self.bundle.manifest.contract
        return make_batches(contract, variant, opened, self.images.pixels, self.batch_size)


def search(
    race: Race,
    engines: Sequence[Candidate],
    right: Callable[[Candidate], bool],
    deadline: float,
) -> list[Candidate]:
    """Find what is worth a final: the best engine, and the best of its options.

    Args:
        race: What is measured with.
        engines: Candidates with their runtimes' options as they are by themselves.
        right: Says whether a candidate answers right; one that does not takes no part.
        deadline: When it should have ended.

    Returns:
        Up to two candidates that were measured, the one with fewer options first; none where the
        default alone runs.
    """
    names = race.enter([each for each in engines if right(each)])
    began, changes = race.clock.now(), max((len(neighbours(each)) for each in engines), default=0)
    # Each candidate is worth as much time: engines here, and the options of the best below.
    share = len(names) / max(1, len(names) + changes)
    if len(names) <= _KEPT:
        share = 0.0  # nobody goes home: one look at each is enough
    ranked = race.halve(ENGINES, names, began + share * (deadline - began), _KEPT)
    ranked = race.standings.ranked([race.default.name, *ranked])
    best = race.standings.ratio(ranked[0])
    near = [name for name in ranked if race.standings.ratio(name) <= _NEAR * best]
    changed = _changed(race, near[:_MOST_BASES], deadline)
    plain = [name for name in ranked if name != race.default.name]
    chosen = [*plain[:1], *changed[:1], *plain[1:]]
    return [race.candidates[name] for name in dict.fromkeys(chosen)][:2]


def _changed(race: Race, bases: Sequence[str], deadline: float) -> list[str]:
    """Give what gains over some candidates by other options, the fastest first."""
    found = list[str]()
    counts = [len(neighbours(race.candidates[name])) for name in bases]
    for place, name in enumerate(bases):
        now = race.clock.now()
        if now < deadline and counts[place]:
            until = now + (deadline - now) * counts[place] / sum(counts[place:])
            found += _options_of(race, race.candidates[name], until)
    return race.standings.ranked(found)


def _options_of(race: Race, base: Candidate, deadline: float) -> list[str]:
    """Change the options of a candidate one at a time, then put together those that gain."""
    changes = neighbours(base)
    names = race.enter(changes)
    if not names:
        return []
    plain = base.name == race.default.name
    standings = race.standings if plain else Standings(base.name)
    began = race.clock.now()
    # Every change is seen once before any are put together.
    until = began + _FIRST_SHARE * (deadline - began)
    first = race.halve(OPTIONS, names, until, keep=len(names), base=standings)
    gained = [name for name in first if standings.ratio(name) < _GAIN]
    together = [] if len(gained) < 2 else race.enter([_together(race, base, gained)])
    left = list(dict.fromkeys([*together, *gained]))
    if len(left) > 1 and race.clock.now() < deadline:  # one alone meets the second run as it is
        race.halve(OPTIONS, left, deadline, base=standings)
    return [name for name in standings.ranked(left) if standings.ratio(name) < _GAIN]


def _together(race: Race, base: Candidate, gained: Sequence[str]) -> Candidate:
    options = merged(base.options, [race.candidates[name].options for name in gained])
    return replace(base, options=options)


def new_clock() -> Clock:
    """Give a clock of real time."""
    return Clock(time.perf_counter)


def _nothing() -> None:
    pass
