"""A bench's report that was damaged or edited is refused where it is read."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.benchmark import BenchReport
from edgecnn.errors import InputError
from edgecnn.reports import make_report, read_body
from tests.benchmark.test_figures import made_up

LEG = ("samples", "blocks", 0, "legs", 0)


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("variants",), [], "it has no variants"),
        (("setup", "threads"), -5, "-5 threads"),
        (("setup", "batch_size"), 0, "batches of 0"),
        (("plan", "replicates"), 0, "its plan measures nothing"),
        (("plan", "duration_seconds"), -1.0, "its plan measures nothing"),
        (("plan", "warmup_runs"), -1, "its plan measures nothing"),
        (("samples", "sessions"), [], "a turn belongs to no session"),
        ((*LEG, "session"), 99, "a turn belongs to no session"),
        ((*LEG, "session"), -1, "a turn belongs to no session"),
        ((*LEG, "times_ns"), [0, 5], "a call took no time"),
        ((*LEG, "times_ns"), [], "a call took no time"),
        (("samples", "blocks", 0, "replicate"), 10**9, "a block belongs to no replicate"),
    ],
)
def test_what_cannot_be_is_refused(place: tuple[str | int, ...], value: Any, problem: str) -> None:
    report = make_report(BenchReport.KIND, made_up(), {})
    assert read_body(report, BenchReport)
    *folders, last = place
    into: Any = report.body
    for folder in folders:
        into = into[folder]
    into[last] = value
    with pytest.raises(InputError, match=f"r.json is damaged or was edited: .*{problem}"):
        read_body(report, BenchReport, where="r.json")
