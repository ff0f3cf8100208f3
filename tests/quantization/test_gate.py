"""What a gate allows, what so many images can prove, and how many more would settle it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.evaluation import PairedAccuracy
from edgecnn.quantization.gate import (
    judge_drop,
    judge_sqnr,
    on_other_cpus,
    what_can_be_proved,
    worst_of,
)
from edgecnn.quantization.saturation import SaturationReport
from edgecnn.spec import Verdict
from edgecnn.stats import images_to_settle, tango


def paired(lost: int, won: int, images: int) -> PairedAccuracy:
    return PairedAccuracy(
        "fp32", "int8", lost, won, 1 - (lost + won) / images, tango(lost, won, images)
    )


@pytest.mark.parametrize(
    ("lost", "won", "images", "limit"),
    [(20, 10, 4000, 0.005), (3, 3, 200, 0.01), (30, 10, 1000, 0.01), (0, 0, 100, 0.005)],
)
def test_so_many_images_settle_it_and_one_in_ten_fewer_do_not(
    lost: int, won: int, images: int, limit: float
) -> None:
    needed = images_to_settle(lost, won, images, limit)
    assert needed is not None
    assert needed > images

    def settled(count: float) -> bool:
        found = tango(lost / images * count, won / images * count, count)
        return found.high <= limit or found.low > limit

    assert settled(needed)
    assert not settled(0.9 * needed)


def test_what_lies_at_the_limit_is_never_settled() -> None:
    assert images_to_settle(10, 5, 1000, 0.005) is None


def test_what_is_settled_needs_no_more() -> None:
    assert images_to_settle(0, 0, 4000, 0.005) == 4000


def test_an_open_gate_says_how_many_more_images_would_settle_it() -> None:
    verdict = judge_drop(paired(20, 10, 4000), 0.005, 4000)
    assert verdict.outcome == "inconclusive"
    found = re.search(r"About ([\d,]+) more such images", verdict.reasons[0])
    assert found is not None
    more = int(found[1].replace(",", ""))
    share = (4000 + more) / 4000
    assert tango(20 * share, 10 * share, 4000 * share).high == pytest.approx(0.005, abs=1e-6)


def test_it_is_said_beforehand_what_images_can_prove() -> None:
    few, many = what_can_be_proved(100, 0.005), what_can_be_proved(50_000, 0.005)
    assert "They cannot prove that it is within 0.50" in few
    needed = re.search(r"([\d,]+) images could", few)
    assert needed is not None
    count = int(needed[1].replace(",", ""))
    assert tango(count / 200, count / 200, count).high == pytest.approx(0.005, rel=1e-2)
    assert "could" not in many


@pytest.mark.parametrize(
    ("noise_db", "wanted", "outcome"),
    [(30, 20, "pass"), (30, 40, "fail"), (30, 30, "inconclusive")],
)
def test_where_outputs_are_no_classes_the_distance_is_gated(
    noise_db: float, wanted: float, outcome: str
) -> None:
    random = np.random.default_rng(1)
    signal = random.uniform(0.5, 1.5, 200)
    noise = signal * 10 ** (-noise_db / 10) * random.uniform(0.5, 1.5, 200)
    verdict = judge_sqnr(signal, noise, wanted, "int8")
    assert verdict.outcome == outcome
    assert f"{wanted:g} dB wanted" in verdict.reasons[0]


def test_equal_answers_reach_any_distance() -> None:
    ones = np.ones(50)
    assert judge_sqnr(ones, 0 * ones, 100, "int8").outcome == "pass"


@pytest.mark.parametrize(("flips", "what"), [(29, "29 .* class"), (None, "31 .* answer")])
def test_what_saturates_on_another_cpu_of_the_fleet_does_not_pass(
    flips: int | None, what: str
) -> None:
    none = SaturationReport(256, (), 0, 0 if flips else None, 0.0, False, 256, ())
    some = replace(none, changed=31, flips=flips)
    passed = judge_drop(paired(0, 0, 4000), 0.005, 4000)
    assert on_other_cpus(passed, none, ("avx2",)) == passed
    held = on_other_cpus(passed, some, ("avx2",))
    assert held.outcome == "inconclusive"
    assert re.search(f"on avx2 {what}", held.reasons[-1])
    failed = judge_drop(paired(60, 5, 4000), 0.005, 4000)
    assert on_other_cpus(failed, some, ("avx2",)).outcome == "fail"


def test_of_several_gates_the_worst_is_said_first() -> None:
    passed, failed = Verdict("pass", ("fine",)), Verdict("fail", ("lost",))
    assert worst_of([passed, failed]) == Verdict("fail", ("lost", "fine"))
