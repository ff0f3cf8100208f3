"""Which scheme is the fastest: what is tried, what is measured, and what is picked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.benchmark.estimate import LatencyComparison, Outcome
from edgecnn.bundle import Bundle
from edgecnn.errors import InputError
from edgecnn.quantization.choosing import choose_scheme
from edgecnn.quantization.cpus import parse_cpus
from edgecnn.quantization.fastest import find_fastest, pick, schemes_to_try
from edgecnn.quantization.schemes import SAFE, find_scheme

TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")


@pytest.mark.parametrize(
    ("fleet", "tried", "left_out"),
    [
        ("any", [SAFE.name, "u8u8"], ["s8s8"]),
        ("vnni,arm64", ["u8s8", "u8u8", "s8s8"], []),
    ],
)
def test_only_what_is_safe_on_the_fleet_is_tried(
    fleet: str, tried: list[str], left_out: list[str]
) -> None:
    trials = schemes_to_try(parse_cpus(fleet))
    assert [choice.scheme.name for choice in trials.choices] == tried
    assert [choice.scheme.name for choice in trials.left_out] == left_out
    assert all(choice.at_risk for choice in trials.left_out)


def compared(first: str, second: str, outcome: Outcome) -> LatencyComparison:
    return LatencyComparison(first, second, 1, 1, 1, 1, 1, 0.01, outcome, "", 50, 5)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("no difference", "no difference", "no difference"), "a"),
        (("slower", "inconclusive", "faster"), "a"),
        (("faster", "faster", "no difference"), "b"),
        (("faster", "faster", "faster"), "c"),
        (("no difference", "faster", "faster"), "c"),
    ],
)
def test_a_later_one_is_picked_only_if_it_is_shown_to_be_faster(
    outcomes: tuple[Outcome, Outcome, Outcome], expected: str
) -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    found = {pair: compared(*pair, outcome) for pair, outcome in zip(pairs, outcomes, strict=True)}
    assert pick("abc", found) == expected


def test_all_are_measured_in_one_run(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    source = replace(bundle.locate("fp32"), settings={"delay": "0.002"})
    slow = replace(source, name="int8", settings={"delay": "0.006"})
    fast = replace(source, name="int8-u8u8", settings={"delay": "0.001"})
    candidates = [(choose_scheme(), slow), (choose_scheme(scheme=find_scheme("u8u8")), fast)]
    images = np.zeros((4, 8, 8, 3), np.uint8)
    contract = bundle.manifest.contract
    found = find_fastest(
        source, candidates, images, contract, runtime=TROUBLED, threads=1, seconds=0.5
    )
    assert [(each.scheme, each.variant) for each in found.measured] == [
        (SAFE.name, "int8"),
        ("u8u8", "int8-u8u8"),
    ]
    assert found.measured[0].latency.ratio > 1.5 > 1 > found.measured[1].latency.ratio
    [between] = found.against
    assert (between.first, between.second) == ("int8", "int8-u8u8")
    assert between.ratio < 0.5
    # A machine that is too busy to say is not believed.
    assert found.scheme == ("u8u8" if found.valid else SAFE.name)
    assert found.reason.startswith("u8u8 is the fastest" if found.valid else SAFE.name)


def test_what_cannot_be_compared_is_refused(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    source, images = bundle.locate("fp32"), np.zeros((4, 8, 8, 3), np.uint8)
    for candidates in ([], [(choose_scheme(), source)]):
        with pytest.raises(InputError, match="cannot be compared"):
            find_fastest(source, candidates, images, bundle.manifest.contract)
