from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors import InputError
from edgecnn.units import Quantity, parse, seconds, size_bytes, time_text


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("1s", 1, "time"),
        ("250ms", 0.25, "time"),
        ("30 us", 30e-6, "time"),
        ("30µs", 30e-6, "time"),
        ("30\N{GREEK SMALL LETTER MU}s", 30e-6, "time"),
        ("5ns", 5e-9, "time"),
        (".5h", 1800, "time"),
        ("2MIN", 120, "time"),
        ("200kB", 200_000, "size"),
        ("1e3B", 1000, "size"),
        ("1.5MiB", 1.5 * 2**20, "size"),
        ("3%", 0.03, "share"),
        ("0.5pp", 0.005, "points"),
        ("1000 images/s", 1000, "rate"),
        ("0.85", 0.85, "number"),
        ("3.", 3, "number"),
    ],
)
def test_a_quantity_is_read_with_its_unit(text: str, value: float, kind: str) -> None:
    read = parse(f" {text} ")
    assert read.value == pytest.approx(value)
    assert (str(read.kind), read.signed) == (kind, False)


def test_a_sign_is_remembered() -> None:
    assert parse("+3%") == Quantity(0.03, "share", True)
    assert parse("-0.5pp") == Quantity(-0.005, "points", True)


@pytest.mark.parametrize("text", ["", "ms", "1 s 2", "1..2s", "5 furlongs", "nan", "inf", "1,5s"])
def test_what_is_no_quantity_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text)
    assert "250ms" in refused.value.remedy or "Units are: ns, us, ms" in refused.value.remedy


def test_a_number_beyond_all_is_refused() -> None:
    with pytest.raises(InputError, match="too large"):
        parse("1e999s")


@pytest.mark.parametrize("text", ["3%", "5kB", "-1s", "abc", "5 parsecs", "1e999s"])
def test_a_time_is_a_time(text: str) -> None:
    with pytest.raises(InputError) as refused:
        seconds(text)
    assert refused.value.remedy == "Write such as 250ms, 10s or 2min."


def test_a_bare_number_is_in_seconds_or_bytes() -> None:
    assert seconds("6") == 6
    assert size_bytes("1024") == 1024


def test_a_size_is_a_size() -> None:
    with pytest.raises(InputError, match="no size"):
        size_bytes("3s")


@given(st.floats(1e-9, 1e6))
def test_a_time_that_is_written_is_read_back(value: float) -> None:
    assert seconds(time_text(value)) == pytest.approx(value, rel=1e-9)
