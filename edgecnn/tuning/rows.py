"""Every candidate and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.benchmark.estimate import ratio_interval
from edgecnn.tuning.report import AnswerCheck, Candidate, Row
from edgecnn.tuning.search import Race

_TOO_SHORT = "The budget was spent."


def make_rows(
    race: Race, entrants: Sequence[Candidate], checks: Sequence[AnswerCheck]
) -> tuple[Row, ...]:
    """List the candidates: the default, then the fastest first, then those without a figure."""
    wrong = {check.name: check.reasons for check in checks if check.right is False}
    every = {each.name: each for each in (*race.candidates.values(), *entrants)}
    rows = [_row(race, each, wrong) for each in every.values()]
    return tuple(sorted(rows, key=lambda row: _order(race, row)))


def _order(race: Race, row: Row) -> tuple[bool, float]:
    slow = math.inf if row.ratio is None else row.ratio.estimate
    return row.name != race.default.name, slow


def _row(race: Race, candidate: Candidate, wrong: dict[str, tuple[str, ...]]) -> Row:
    name, standings = candidate.name, race.standings
    if name == race.default.name:
        return Row(candidate, name, "measured", None, _replicates_of_default(race))
    found = standings.found.get(name)
    interval = ratio_interval(found) if found else None
    ratio = interval if interval and math.isfinite(interval.high) else None
    count = len(found.ratios) if found else 0
    if name in standings.failures:
        return Row(candidate, name, "failed", ratio, count, standings.failures[name])
    if name in wrong:
        return Row(candidate, name, "answers differ", ratio, count, " ".join(wrong[name]))
    if found is None:
        return Row(candidate, name, "not tried", None, 0, _TOO_SHORT)
    return Row(candidate, name, "measured", ratio, count)


def _replicates_of_default(race: Race) -> int:
    return max((len(found.ratios) for found in race.standings.found.values()), default=0)
