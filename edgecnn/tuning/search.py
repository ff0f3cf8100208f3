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
from edgecnn.errors import EdgeCNNError
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
# What an option must gain to be put together with others.
_GAIN = 0.99


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

    def halve(self, stage: str, names: Sequence[str], deadline: float, keep: int = 2) -> list[str]:
        """Let candidates race until few are left; see `halving.halve`."""
        began = self.clock.now()

        def heard(halved: Halved) -> None:
            nonlocal began
            seconds, began = self.clock.now() - began, self.clock.now()
            found = Round(stage, halved.measured, halved.replicates, halved.kept, seconds)
            self.rounds.append(found)

        measure = self.measure
        return halve(names, self.standings, measure, self.clock, deadline, keep=keep, heard=heard)

    def measure(self, names: tuple[str, ...], replicates: int) -> Samples:
        """Measure candidates beside the default; one that cannot be opened is a failure.

        What was measured before Ctrl-C counts.
        """
        run = Run(
            self.job(names, plan_of(replicates)).subjects,
            plan_of(replicates),
            _nothing,
            self.progress,
        )
        try:
            run.go()
        except KeyboardInterrupt:
            self.standings.add(names, run.samples)
            raise
        except EdgeCNNError as error:
            # The engine does not say whose fault it is.
            if len(names) == 1:
                failure = Failure(names[0], error.problem, error.remedy)
                return replace(run.samples, failures=(*run.samples.failures, failure))
            for name in names:
                self.standings.add((name,), self.measure((name,), replicates))
            return Samples()
        return run.samples

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
    began = race.clock.now()
    ranked = race.halve(ENGINES, names, began + (deadline - began) / 2)
    ranked = race.standings.ranked([race.default.name, *ranked])
    best = race.standings.ratio(ranked[0])
    near = [name for name in ranked if race.standings.ratio(name) <= _NEAR * best]
    with_options = _options_of(race, [race.candidates[name] for name in near], deadline)
    with_options = [name for name in with_options if race.standings.ratio(name) < _GAIN * best]
    plain = [name for name in ranked if name != race.default.name]
    chosen = [*plain[:1], *with_options[:1], *plain[1:]]
    return [race.candidates[name] for name in dict.fromkeys(chosen)][:2]


def _options_of(race: Race, bases: Sequence[Candidate], deadline: float) -> list[str]:
    """Change the options of some candidates, one at a time, then put together those that gain."""
    changed = {base.name: neighbours(base) for base in bases}
    names = race.enter([each for base in bases for each in changed[base.name]])
    if not names or race.clock.now() >= deadline:
        return []
    began = race.clock.now()
    # Every change must be seen once before any are put together.
    first = race.halve(OPTIONS, names, began + 0.6 * (deadline - began), keep=len(names))
    together = [_together(race, base, changed[base.name]) for base in bases]
    more = race.enter([each for each in together if each is not None])
    bases_left = [base.name for base in bases if base.name != race.default.name]
    left = [*more, *first[: max(2, len(first) // 2)], *bases_left]
    if race.clock.now() < deadline:
        race.halve(OPTIONS, list(dict.fromkeys(left)), deadline)
    return race.standings.ranked([*more, *first])


def _together(race: Race, base: Candidate, changed: Sequence[Candidate]) -> Candidate | None:
    """Put together the options that gained alone; None where fewer than two did."""
    own = race.standings.ratio(base.name)
    ranked = race.standings.ranked([each.name for each in changed])
    gained = [name for name in ranked if race.standings.ratio(name) < _GAIN * own]
    if len(gained) < 2:
        return None
    options = merged(base.options, [race.candidates[name].options for name in gained])
    found = replace(base, options=options)
    return None if found.name in gained else found


def new_clock() -> Clock:
    """Give a clock of real time."""
    return Clock(time.perf_counter)


def _nothing() -> None:
    pass
