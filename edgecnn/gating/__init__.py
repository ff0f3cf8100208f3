"""Gates: what must not be, such as `latency.p90 > 5ms`, judged with the figure's interval."""

from edgecnn.gating.grammar import Gate, parse_gate, parse_gates, refuse_unknown
from edgecnn.gating.judge import Figure, GateResult, check, exit_code, together
from edgecnn.gating.metrics import METRICS, Metric

__all__ = [
    "METRICS",
    "Figure",
    "Gate",
    "GateResult",
    "Metric",
    "check",
    "exit_code",
    "parse_gate",
    "parse_gates",
    "refuse_unknown",
    "together",
]
