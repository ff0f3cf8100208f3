from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.gating import Figure, check, exit_code, parse_gate, together
from edgecnn.gating.metrics import Command
from edgecnn.gating.words import span
from edgecnn.stats import Interval, tango
from edgecnn.units import Kind


def outcome(text: str, *figures: Figure, command: Command = "bench") -> list[str]:
    gate = parse_gate(text, command)
    return [result.outcome for result in check([gate], figures)]


def p90(
    low: float, high: float, *, relative: bool = False, floor: float = 0.0, doubt: str = ""
) -> Figure:
    middle = low if math.isinf(high) else (low + high) / 2
    return Figure("latency.p90", "fp32", Interval(middle, low, high), relative, floor, doubt)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (4.0, 4.9, "pass"),
        (4.0, 5.0, "pass"),
        (4.9, 5.1, "inconclusive"),
        (5.0, 5.2, "inconclusive"),
        (5.1, 5.3, "fail"),
        (5.1, math.inf, "fail"),
        (0.0, math.inf, "inconclusive"),
    ],
)
def test_the_whole_interval_is_held_against_the_limit(
    low: float, high: float, expected: str
) -> None:
    assert outcome("latency.p90 > 5ms", p90(low / 1e3, high / 1e3)) == [expected]


def test_or_equal_means_it() -> None:
    exact = Figure("size", "fp32", Interval(5000, 5000, 5000))
    assert outcome("size >= 5kB", exact) == ["fail"]
    assert outcome("size > 5kB", exact) == ["pass"]


@pytest.mark.parametrize(
    ("low", "high", "floor", "expected"),
    [
        (0.035, 0.045, 0.01, "fail"),
        (-0.01, 0.02, 0.01, "pass"),
        (-0.01, 0.02, 0.5, "pass"),
        (0.02, 0.06, 0.01, "inconclusive"),
        (0.035, 0.045, 0.08, "inconclusive"),
    ],
)
def test_a_change_within_the_noise_floor_fails_no_build(
    low: float, high: float, floor: float, expected: str
) -> None:
    figure = p90(low, high, relative=True, floor=floor)
    assert outcome("latency.p90 > +3%", figure) == [expected]


def test_a_gain_that_was_asked_for_and_did_not_come_fails() -> None:
    figure = p90(-0.01, 0.01, relative=True, floor=0.02)
    assert outcome("latency.p90 > -5%", figure) == ["fail"]


def test_less_is_worse_for_accuracy() -> None:
    def drop(only_first: int, only_second: int) -> Figure:
        found = tango(only_first, only_second, 5000)
        change = Interval(-found.estimate, -found.high, -found.low)
        return Figure("accuracy", "int8", change, relative=True)

    for counts, expected in (((90, 10), "fail"), ((10, 10), "pass"), ((60, 35), "inconclusive")):
        assert outcome("accuracy < -0.5pp", drop(*counts), command="eval") == [expected]


def test_what_is_not_valid_gives_no_verdict_and_says_why() -> None:
    figures = [p90(0.001, 0.002, doubt="others took the CPU"), p90(0.1, 0.2, doubt="others")]
    results = check([parse_gate("latency.p90 > 5ms", "bench")], figures)
    assert [result.outcome for result in results] == ["inconclusive"] * 2
    assert not results[0].believed
    assert "no verdict, for others took the CPU" in results[0].reason


def test_a_gate_without_a_figure_does_not_pass() -> None:
    (result,) = check([parse_gate("int8: latency.p99 > 5ms", "bench")], [p90(0.001, 0.002)])
    assert (result.outcome, result.estimate, result.variant) == ("inconclusive", None, "int8")
    assert "it was not measured" in result.reason
    few = Figure("latency.p99", "fp32", None, doubt="25 calls are too few")
    (result,) = check([parse_gate("latency.p99 > 5ms", "bench")], [few])
    assert result.reason == (
        "fp32: latency.p99 is not known, for 25 calls are too few (limit > 5ms)"
    )


def test_a_gate_holds_for_all_variants_or_for_the_one_it_names() -> None:
    figures = [Figure("size", name, Interval(9e3, 9e3, 9e3)) for name in ("fp32", "int8")]
    assert len(outcome("size > 5kB", *figures)) == 2
    (result,) = check([parse_gate("int8: size > 5kB", "bench")], figures)
    assert result.variant == "int8"
    assert result.reason == "int8: size is 9.00 kB (limit > 5kB): beyond the limit"


def test_reasons_name_figure_interval_and_limit() -> None:
    (result,) = check([parse_gate("latency.p90 > 5ms", "bench")], [p90(0.004, 0.006)])
    assert result.reason == (
        "fp32: latency.p90 is 5.00 ms, 95 % interval 4.00 to 6.00 (limit > 5ms): "
        "too wide an interval to tell, for it holds the limit"
    )
    figure = p90(0.05, math.inf, relative=True)
    (result,) = check([parse_gate("latency.p90 > +3%", "bench")], [figure])
    assert "changed by +5.00 %, 95 % interval +5.00 to any amount" in result.reason
    assert (result.low, result.high) == (0.05, None)


def test_one_failure_fails_all_and_one_doubt_leaves_it_open() -> None:
    def all_of(*tests: tuple[float, float]) -> str:
        figures = [p90(*ends) for ends in tests]
        return together(check([parse_gate("latency.p90 > 5ms", "bench")], figures)).outcome

    good, bad, open_ = (0.001, 0.002), (0.006, 0.007), (0.004, 0.006)
    assert all_of(good) == "pass"
    assert all_of(good, open_) == "inconclusive"
    assert all_of(good, open_, bad) == "fail"
    assert together(()).outcome == "pass"


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["latency.p90 > {}s", "throughput < {}/s"]),
)
def test_pass_and_fail_never_both_and_never_on_both_sides(
    a: float, b: float, limit: float, text: str
) -> None:
    low, high = sorted((a, b))
    gate = parse_gate(text.format(f"{limit:.6f}"), "bench")
    figure = Figure(gate.metric.name, "fp32", Interval((low + high) / 2, low, high))
    (result,) = check([gate], [figure])
    if low < gate.limit < high:
        assert result.outcome == "inconclusive"
    elif low > gate.limit or high < gate.limit:
        above = low > gate.limit
        assert result.outcome == ("fail" if above == (gate.metric.worse == "more") else "pass")


@pytest.mark.parametrize(
    ("ends", "kind", "change", "text"),
    [
        ((31.4e-6, 31e-6, 32e-6), "time", False, "31.40 µs, 95 % interval 31.00 to 32.00"),
        ((0.25, 0.25, 0.25), "time", False, "250.00 ms"),
        ((12, 12, 12), "time", False, "12.00 s"),
        ((999, 999, 999), "size", False, "999.00 bytes"),
        ((2e5, 2e5, 2e6), "size", False, "0.20 MB, 95 % interval 0.20 to 2.00"),
        ((0.8512, 0.8512, 0.8512), "number", False, "85.12 %"),
        ((-1e-9, -0.001, 0.001), "points", True, "+0.00 points, 95 % interval -0.10 to +0.10"),
        ((0.05, 0.05, math.inf), "share", True, "+5.00 %, 95 % interval +5.00 to any amount"),
        ((1234.5, 1234.5, 1234.5), "rate", False, "1,234 /s"),
    ],
)
def test_figures_in_words(
    ends: tuple[float, float, float], kind: Kind, change: bool, text: str
) -> None:
    assert span(Interval(*ends), kind, change=change) == text


@pytest.mark.parametrize(
    ("ends", "doubt", "codes"),
    [
        ((0.001, 0.002), "", (0, 0, 0)),
        ((0.006, 0.007), "", (1, 1, 1)),
        ((0.004, 0.006), "", (5, 0, 1)),
        ((0.001, 0.002), "others took the CPU", (5, 5, 1)),
        ((0.006, 0.007), "others took the CPU", (5, 5, 1)),
    ],
)
def test_exit_codes(ends: tuple[float, float], doubt: str, codes: tuple[int, ...]) -> None:
    results = check([parse_gate("latency.p90 > 5ms", "bench")], [p90(*ends, doubt=doubt)])
    assert tuple(exit_code(results, choice) for choice in (None, "pass", "fail")) == codes
    assert exit_code(()) == 0
