"""Each condition beyond its threshold is named with its figures and a remedy, and none below."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.conditions import Busy, Conditions, Course, Doubt, doubts

# As an idle machine in a cloud is: four CPUs, on two cores.
IDLE = Conditions(
    seconds=10.0,
    looks=6,
    cpus=(0, 1, 2, 3),
    physical_cores=4,
    others_cpus=0.05,
    steal_share=0.004,
    megahertz=Course(2600, 2600, 2600, 2600),
    memory_bytes=8_000_000_000,
    available_bytes=6_000_000_000,
    swapped_in_bytes=4096,
    memory_stall_share=0.001,
)
DESK = replace(IDLE, governor="performance", turbo=False, clock_limit=1.0, on_battery=False)


def only(found: Conditions, threads: int = 2) -> Doubt:
    [doubt] = doubts(found, threads)
    return doubt


@pytest.mark.parametrize("found", [IDLE, DESK])
@pytest.mark.parametrize("threads", [1, 4])
def test_an_idle_machine_is_not_doubted(found: Conditions, threads: int) -> None:
    assert doubts(found, threads) == ()


@pytest.mark.parametrize(
    ("others", "threads", "invalid"),
    [
        (0.39, 4, False),  # a tenth of the four that are needed is not reached
        (0.41, 4, True),
        (2.0, 2, False),  # on the two that are not needed
        (2.3, 2, True),
        (0.24, 2, None),
    ],
)
def test_others_matter_by_what_is_left(others: float, threads: int, invalid: bool | None) -> None:
    found = doubts(replace(IDLE, others_cpus=others), threads)
    assert [doubt.invalid for doubt in found] == ([] if invalid is None else [invalid])


def test_others_are_named() -> None:
    busy = (Busy("make", 4711, 1.9), Busy("cron", 1, 0.1))
    doubt = only(replace(IDLE, others_cpus=2.0, busiest=busy), 4)
    assert doubt.what == (
        "other processes kept 2.00 of 4 CPUs busy, most of all make (process 4711) with 1.90"
    )
    assert "`--threads 2`" in doubt.remedy
    many = replace(IDLE, others_cpus=2.0, busiest=(Busy("make", 4711, 0.1),))
    assert only(many, 4).what == "other processes kept 2.00 of 4 CPUs busy"


@pytest.mark.parametrize(
    ("change", "says", "remedy"),
    [
        ({"steal_share": 0.06}, "6.0 % of this machine's CPU time", "CPUs are its own"),
        (
            {"quota_cpus": 1.5, "periods": 60, "throttled_periods": 30},
            "quota of 1.5 CPUs was used up in 30 of 60 periods",
            "`--threads 1`",
        ),
        ({"swapped_in_bytes": 50_000_000}, "50 MB were read back from swap", "ps aux"),
        ({"memory_stall_share": 0.2}, "waited for memory 20 % of the time", "ps aux"),
        ({"heat_throttles": 3}, "throttled for its heat 3 times", "cpupower frequency-set --max"),
        ({"clock_lowered": True}, "clock was lowered", "power supply"),
    ],
)
def test_what_makes_a_run_not_valid(change: dict[str, float], says: str, remedy: str) -> None:
    doubt = only(replace(IDLE, **change))  # type: ignore[arg-type]
    assert doubt.invalid
    assert says in doubt.what
    assert remedy in doubt.remedy


@pytest.mark.parametrize(
    ("change", "says", "remedy"),
    [
        ({"steal_share": 0.03}, "(steal)", "another time"),
        ({"periods": 100, "throttled_periods": 1}, "1 of 100 periods", "--threads 1"),
        ({"swapped_in_bytes": 2_000_000}, "2 MB were read back", "ps aux"),
        ({"available_bytes": 80_000_000}, "only 80 MB of memory", "ps aux"),
        (
            {"governor": "powersave", "driver": "intel_pstate"},
            "'powersave' (intel_pstate)",
            "`sudo cpupower frequency-set -g performance`",
        ),
        ({"turbo": True}, "turbo is on", "echo 0 | sudo tee"),
        ({"turbo": True, "driver": "intel_pstate"}, "turbo is on", "intel_pstate/no_turbo"),
        ({"clock_limit": 0.5}, "limited to 50 %", "cpupower frequency-info"),
        ({"on_battery": True}, "on its battery", "Plug it in"),
        ({"celsius": Course(45, 71, 45, 71)}, "from 45 to 71 °C", "--duration"),
        ({"physical_cores": 1}, "2 threads share 1 physical core as", "`--threads 1`"),
    ],
)
def test_what_is_only_good_to_know(change: dict[str, object], says: str, remedy: str) -> None:
    doubt = only(replace(IDLE, **change))  # type: ignore[arg-type]
    assert not doubt.invalid
    assert says in doubt.what
    assert remedy in doubt.remedy


@pytest.mark.parametrize(("quota", "allowed"), [(None, 4), (1.5, 2)])
def test_more_threads_than_cpus(quota: float | None, allowed: int) -> None:
    doubt = only(replace(IDLE, quota_cpus=quota), allowed + 1)
    assert doubt.invalid
    assert f"{allowed + 1} threads share the {allowed} CPUs" in doubt.what
    assert doubt.remedy == f"Use `--threads {allowed}`."


def test_what_makes_a_run_not_valid_comes_first() -> None:
    found = doubts(replace(DESK, turbo=True, steal_share=0.5), 1)
    assert [doubt.invalid for doubt in found] == [True, False]
    assert doubts(Conditions(1.0, 2), 8) == ()
