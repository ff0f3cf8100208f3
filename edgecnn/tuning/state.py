"""What is known while a bundle is tuned, so that Ctrl-C loses nothing, and what becomes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from edgecnn.bundle import GOLDEN
from edgecnn.deployment import digests
from edgecnn.errors import EdgeCNNError, UnavailableError
from edgecnn.machine import this_machine
from edgecnn.manifest import Deployment
from edgecnn.progress import Progress
from edgecnn.records import sha256
from edgecnn.tuning.answers import Answers, failed
from edgecnn.tuning.report import Candidate, Final, LeftOut, Outcome, TuneReport
from edgecnn.tuning.rows import make_rows
from edgecnn.tuning.search import Race
from edgecnn.tuning.space import Space


@dataclass
class Tuning:
    """What is known so far.

    Attributes:
        space: What can be tried.
        race: What was measured in the search.
        answers: What was found of answers.
        budget: Seconds that everything should take.
        began: When it began, as `time.perf_counter` counts.
        tell: Told what is done and the share of the budget that is spent.
        final: The second run; None before it.
        deciding: The second run has begun.
        entrants: The engines that are candidates.
        left_out: What turned out not to be to be had here.
    """

    space: Space
    race: Race
    answers: Answers
    budget: float
    began: float
    tell: Progress
    final: Final | None = None
    deciding: bool = False
    entrants: list[Candidate] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def progress(self, what: str, share: float) -> None:
        """Tell what is done, and the share of the budget that is spent."""
        text = self._measuring() if "µs" in what else what  # the times of all would fill lines
        self.tell(text, min(1.0, (time.perf_counter() - self.began) / self.budget))

    def _measuring(self) -> str:
        if self.deciding:
            return "Measuring the best beside the default once more, in fresh processes"
        standings = self.race.standings
        ranked = standings.ranked(list(standings.found))
        if not ranked:
            return "Measuring candidates beside the default"
        ratio = standings.ratio(ranked[0])
        return (
            f"Measuring; the best so far, {ranked[0]}, takes {ratio:.2f} times the default's time"
        )

    def heard(self, final: Final) -> None:
        """Keep what the second run found."""
        self.final = final

    def right(self, candidate: Candidate, *, confirm: bool = False) -> bool:
        """Say whether a candidate answers right: enough to race, or to win."""
        self.progress(f"Do the answers agree? {candidate.name}", 0.0)
        try:
            found = (self.answers.confirm if confirm else self.answers.pick)(candidate)
        except EdgeCNNError as error:
            if isinstance(error, UnavailableError) and candidate in self.entrants:
                self.left_out.append(LeftOut(candidate.name, error.problem))
                self.entrants.remove(candidate)
            else:
                self.answers.checks.append(failed(candidate, error))
                self.race.standings.failures[candidate.name] = error.problem
            return False
        # While candidates are picked, images that cannot tell exclude nobody.
        return found.right is True or (found.right is None and not confirm)


def make_tune_report(
    tuning: Tuning,
    outcome: Outcome,
    chosen: str | None,
    verdict: str,
    *,
    interrupted: bool = False,
) -> TuneReport:
    """Put together what is known."""
    bundle, race = tuning.answers.bundle, tuning.race
    named = {each.variant for each in race.candidates.values()}
    measured = {GOLDEN: bundle.files[GOLDEN].sha256}
    for name in sorted(named):
        measured |= digests(bundle, name)
    return TuneReport(
        default=tuning.space.default.name,
        chosen=chosen,
        outcome=outcome,
        verdict=verdict,
        rows=make_rows(race, tuning.entrants, tuning.answers.checks),
        left_out=(*tuning.space.left_out, *tuning.left_out),
        checks=tuple(tuning.answers.checks),
        rounds=tuple(race.rounds),
        final=tuning.final,
        images=race.what,
        batch_size=race.batch_size,
        max_drop=tuning.answers.max_drop,
        budget_seconds=tuning.budget,
        seconds=time.perf_counter() - tuning.began,
        interrupted=interrupted,
        measured=measured,
    )


def deployment_of(tuning: Tuning, chosen: Candidate, path: Path | None) -> Deployment:
    """Give what a bundle's manifest says of the candidate that was chosen."""
    return Deployment(
        variant=chosen.variant,
        runtime=chosen.runtime,
        provider=chosen.provider,
        threads=chosen.threads,
        options=chosen.given,
        precision=chosen.precision,
        batch_size=tuning.race.batch_size,
        cpu=this_machine().cpu,
        tuned=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        measured=dict(digests(tuning.answers.bundle, chosen.variant)),
        report="" if path is None else path.name,
        report_sha256="" if path is None else sha256(path.read_bytes()),
        versions=tuning.space.versions.get(chosen.runtime, {}),
    )
