"""The race itself, in real processes: who is measured beside whom, and who is not to be had."""

from __future__ import annotations

import time

import pytest

from edgecnn.progress import tell_nobody
from edgecnn.tuning.halving import Clock, Standings
from edgecnn.tuning.report import Candidate
from edgecnn.tuning.rows import make_rows
from edgecnn.tuning.search import OPTIONS, Race
from tests.conftest import MakeBundle

DEFAULT = Candidate("fp32", "ort", "cpu", 1)
INT8 = Candidate("int8", "ort", "cpu", 1)


def test_one_that_cannot_be_opened_takes_nobody_along(make_bundle: MakeBundle) -> None:
    race = Race(make_bundle(), DEFAULT, 1, Clock(time.perf_counter), tell_nobody)
    bad = Candidate("int8", "ort", "cpu", 1, options={"arena": "perhaps"})
    good = Candidate("int8", "ort", "cpu", 1, options={"arena": "off"})
    names = race.enter([DEFAULT, bad, good, INT8])
    assert DEFAULT.name not in names
    base = Standings(INT8.name)
    left = race.halve(OPTIONS, [bad.name, good.name], 0.0, base=base)
    assert left == [good.name]
    # Beside the candidate that it changes, and beside the default, in the same blocks.
    assert len(base.found[good.name].ratios) == len(race.standings.found[good.name].ratios) == 1
    rows = {row.name: row for row in make_rows(race, [], [])}
    assert rows[bad.name].state == "failed"
    assert "cannot be 'perhaps'" in rows[bad.name].why
    assert rows[good.name].state == rows[INT8.name].state == "measured"
    (found,) = race.rounds
    assert (found.stage, found.kept) == (OPTIONS, (good.name,))


def test_what_was_measured_before_ctrl_c_counts(make_bundle: MakeBundle) -> None:
    def progress(what: str, share: float) -> None:
        if "ratio" in what:
            raise KeyboardInterrupt

    race = Race(make_bundle(), DEFAULT, 1, Clock(time.perf_counter), progress)
    with pytest.raises(KeyboardInterrupt):
        race.measure(race.enter([INT8]), 3)
    assert len(race.standings.found[INT8.name].ratios) == 1
