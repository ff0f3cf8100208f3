from __future__ import annotations

import pytest

from edgecnn.errors import InputError
from edgecnn.gating import METRICS, parse_gate, parse_gates, refuse_unknown
from edgecnn.gating.metrics import Command


@pytest.mark.parametrize(
    ("text", "name", "operator", "limit", "relative", "variant"),
    [
        ("latency.p90 > 5ms", "latency.p90", ">", 0.005, False, ""),
        ("latency.p90>5ms", "latency.p90", ">", 0.005, False, ""),
        ("  latency.min  >=  30 us ", "latency.min", ">=", 30e-6, False, ""),
        ("latency.median > +3%", "latency.median", ">", 0.03, True, ""),
        ("latency.median > -5 %", "latency.median", ">", -0.05, True, ""),
        ("size > 200kB", "size", ">", 200e3, False, ""),
        ("memory.peak >= +10%", "memory.peak", ">=", 0.1, True, ""),
        ("throughput < 1000/s", "throughput", "<", 1000, False, ""),
        ("throughput < -3%", "throughput", "<", -0.03, True, ""),
        ("int8: cold_start > 2s", "cold_start", ">", 2, False, "int8"),
        ("a:b c.onnx : first_run > 2s", "first_run", ">", 2, False, "a:b c.onnx"),
    ],
)
def test_a_gate_of_bench_is_read(
    text: str, name: str, operator: str, limit: float, relative: bool, variant: str
) -> None:
    gate = parse_gate(text, "bench")
    assert (gate.text, gate.metric.name, gate.operator) == (text, name, operator)
    assert gate.limit == pytest.approx(limit)
    assert (gate.relative, gate.variant) == (relative, variant)


@pytest.mark.parametrize(
    ("text", "limit", "relative", "needs"),
    [
        ("accuracy < 0.85", 0.85, False, False),
        ("accuracy < 85%", 0.85, False, False),
        ("accuracy <= -0.5pp", -0.005, True, True),
        ("agreement < 0.99", 0.99, False, True),
    ],
)
def test_a_gate_of_eval_is_read(text: str, limit: float, relative: bool, needs: bool) -> None:
    gate = parse_gate(text, "eval")
    assert gate.limit == pytest.approx(limit)
    assert (gate.relative, gate.needs_baseline) == (relative, needs)


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", 0, "a metric is missing"),
        ("latency > 5ms", 0, "latency.median, latency.p90"),
        ("latency.p90", 11, "a comparison is missing"),
        ("latency.p90 => 5ms", 12, "'=>' is no comparison; write >"),
        ("latency.p90 == 5ms", 12, "'==' is no comparison"),
        ("latency.p90 < 5ms", 12, "fails what is good"),
        ("throughput > 5/s", 11, "worse when it is less"),
        ("latency.p90 >", 13, "a limit is missing; write 5ms, or +3% for a change"),
        ("latency.p90 > 5", 14, "'5' is no limit of latency.p90"),
        ("latency.p90 > 3%", 14, "or +3% for a change"),
        ("latency.p90 > +5ms", 14, "is no limit"),
        ("latency.p90 > 5 parsecs", 14, "Nothing is measured in 'parsecs'"),
        ("size > 5ms", 7, "write 200kB"),
        (": size > 5kB", 0, "no variant is named"),
        ("int8: sise > 5kB", 6, "nothing is called 'sise'"),
        ("accuracy < 0.9", 0, "measured by `edgecnn eval`"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, at: int, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_gate(text, "bench")
    problem = refused.value.problem
    assert said in problem
    _, shown, pointer = problem.rstrip("\n").split("\n")
    assert shown == f"  {text}"
    assert pointer.index("^") == 2 + at
    assert "latency.p90 > 5ms" in refused.value.remedy


@pytest.mark.parametrize("text", ["accuracy < -1%", "agreement < -1pp", "accuracy < 5ms"])
def test_units_that_do_not_fit_an_accuracy(text: str) -> None:
    with pytest.raises(InputError, match="is no limit of"):
        parse_gate(text, "eval")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("accuracy < 85", "eval"),
        ("accuracy < 0", "eval"),
        ("accuracy < -200pp", "eval"),
        ("agreement < 101%", "eval"),
        ("throughput < -100%", "bench"),
        ("latency.median > -200%", "bench"),
    ],
)
def test_a_limit_that_nothing_gets_to_is_refused(text: str, command: Command) -> None:
    with pytest.raises(InputError, match="never gets to"):
        parse_gate(text, command)


def test_a_gate_that_is_folded_is_on_one_line() -> None:
    assert parse_gate("latency.median\n> +3%\n", "bench").text == "latency.median > +3%"


def test_a_change_needs_a_baseline() -> None:
    gates = parse_gates(["size > +3%"], "bench", baseline=True)
    assert gates[0].needs_baseline
    with pytest.raises(InputError, match="none is named") as refused:
        parse_gates(["size > 3kB", "size > +3%"], "bench", baseline=False)
    assert "--baseline" in refused.value.remedy


def test_a_gate_for_what_is_not_measured_is_refused() -> None:
    gates = parse_gates(["int8: size > 3kB"], "bench", baseline=False)
    refuse_unknown(gates, ["fp32", "int8"])
    with pytest.raises(InputError, match="'int8', which is not measured"):
        refuse_unknown(gates, ["fp32"])


def test_every_metric_has_an_example_that_can_be_read() -> None:
    for metric in METRICS.values():
        gate = parse_gate(metric.example_gate, metric.command)
        assert gate.metric is metric
        if metric.change:
            sign = ">" if metric.worse == "more" else "<"
            text = f"{metric.name} {sign} {metric.change_example}"
            assert parse_gate(text, metric.command).relative
