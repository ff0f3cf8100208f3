"""What is asked of a placement, and what is said where it is too little."""

from __future__ import annotations

import pytest

from edgecnn.errors import InputError, UnavailableError
from edgecnn.placement import (
    Copies,
    Needed,
    PlacedOperator,
    Placement,
    ProviderShare,
    allow_fallback,
    check_placement,
    describe,
)

DET = PlacedOperator("det_7", "Det", "cpu", 6_000)
PART = Placement(
    "cuda",
    5,
    (ProviderShare("cuda", 9, 90_000), ProviderShare("cpu", 1, 6_000)),
    (Copies("to host", 2, 4_000),),
    (DET,),
)
ALL = Placement("cuda", 5, (ProviderShare("cuda", 10, 100_000),))
NOTHING = Placement("cuda", 5, (ProviderShare("cpu", 1, 6_000),), (), (DET,))


def test_copies_count_as_time_elsewhere() -> None:
    assert PART.coverage == pytest.approx(0.9)
    assert ALL.coverage == 1
    assert NOTHING.coverage == 0


def test_without_times_it_is_the_share_of_the_operators() -> None:
    shares = (ProviderShare("cuda", 3, 0), ProviderShare("cpu", 1, 0))
    assert Placement("cuda", 5, shares).coverage == 0.75


@pytest.mark.parametrize(
    ("placement", "needed"),
    [
        (ALL, Needed()),
        (PART, Needed(min_coverage=0.9)),
        (PART, Needed(fallback=True)),
        (PART, Needed(fallback=True, min_coverage=0.5)),
    ],
)
def test_enough(placement: Placement, needed: Needed) -> None:
    check_placement(placement, needed, "net")


@pytest.mark.parametrize(
    ("placement", "needed", "said"),
    [
        (PART, Needed(), "all but 1"),
        (PART, Needed(min_coverage=0.91), "90 % of the time, less than 91 %"),
        (PART, Needed(fallback=True, min_coverage=0.95), "less than 95 %"),
        (NOTHING, Needed(fallback=True), "nothing of 'net'"),
        (NOTHING, Needed(min_coverage=0.01), "0 % of the time"),
    ],
)
def test_too_little(placement: Placement, needed: Needed, said: str) -> None:
    with pytest.raises(UnavailableError, match=said) as refusal:
        check_placement(placement, needed, "net")
    (row,) = refusal.value.requirements
    assert (row.name, row.needed, row.found, row.ok) == ("Det det_7", "cuda", "cpu, 6 µs", False)
    assert refusal.value.remedy


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_share_must_be_one(share: float) -> None:
    with pytest.raises(InputError, match="--min-coverage"):
        Needed(min_coverage=share)


def test_options_say_whether_less_is_allowed() -> None:
    assert Needed.of(None, None).everything
    assert not Needed.of(allow_fallback({"spinning": "off"}), None).everything


def test_description_names_all_of_it() -> None:
    assert describe(PART) == (
        "operators of a run: 9 on cuda (90 µs), 1 on cpu (6 µs), 2 copies to host (4 µs); "
        "90 % of the time on cuda"
    )
