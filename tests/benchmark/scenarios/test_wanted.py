"""What can be asked for."""

from __future__ import annotations

import pytest

from edgecnn.benchmark.scenarios.wanted import Arrival, Wanted, check, parse_arrival
from edgecnn.errors import InputError


def test_arrivals_are_read() -> None:
    assert parse_arrival(" Periodic:30 ") == Arrival("periodic", 30)
    assert parse_arrival("poisson:0.5") == Arrival("poisson", 0.5)
    assert str(parse_arrival("poisson:50")) == "poisson:50"


@pytest.mark.parametrize("text", ["", "30", "uniform:30", "periodic", "periodic:", "poisson:x"])
@pytest.mark.parametrize("suffix", ["", ":0"])
def test_what_says_no_arrival_is_refused(text: str, suffix: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_arrival(text + suffix)
    assert ":30" in refused.value.remedy


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "1e9"])
def test_a_rate_is_a_rate(rate: str) -> None:
    with pytest.raises(InputError, match="is no rate"):
        parse_arrival(f"periodic:{rate}")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(idle=(0.0,)), "--idle 1ms to 1h"),
        (Wanted(idle=(1.0, 1e6)), "--idle 1ms to 1h"),
        (Wanted(callers=(0,)), "--concurrency 1 to 256"),
        (Wanted(callers=(2, 10_000)), "--concurrency 1 to 256"),
        (Wanted(deadline_seconds=0.01), "--arrival periodic:30"),
        (Wanted(arrivals=(Arrival("periodic", 1),), deadline_seconds=0.0), "above 0"),
        (Wanted(images=("cat.jpg",)), "Add --end-to-end"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(wanted: Wanted, says: str) -> None:
    with pytest.raises(InputError) as refused:
        check(wanted)
    assert says in refused.value.remedy


def test_nothing_may_be_wanted() -> None:
    assert Wanted().count == 0
    assert Wanted(idle=(1.0, 2.0), callers=(2, 4), energy=True).count == 4
    check(Wanted())
