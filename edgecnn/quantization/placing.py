"""Which nodes stay in float by rule, whatever the images say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.profiling.mapping import MOVERS
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.preparing import prepare

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.quantization.schemes import Scheme

# What turns answers into shares. In 256 steps small shares become 0, and nothing is gained: the
# answers turn to float in any case, one operator earlier or later.
SQUASHING = frozenset({"LogSoftmax", "Sigmoid", "Softmax"})
# They become part of the operator before them: rounding with the right range cuts as they do.
JOINED = frozenset({"Clip", "Relu"})


def float_by_rule(core: ir.Model) -> tuple[str, ...]:
    """Name the nodes that turn answers into shares, of which nothing is computed any more.

    Args:
        core: A prepared float core, each node named.

    Returns:
        For `Plan.in_float`; in the order of the graph.
    """
    last = {str(node.name) for output in core.graph.outputs for node in squashing_before(output)}
    return tuple(str(node.name) for node in core.graph if node.name in last)


def squashing_before(output: ir.Value) -> list[ir.Node]:
    """Give the nodes that squash an output, the last first; what only moves numbers is passed."""
    found = []
    value: ir.Value | None = output
    while value is not None:
        maker, used = value.producer(), len(value.uses()) + value.is_graph_output()
        # Of what is used twice, something else is computed, too.
        if maker is None or maker.op_type not in SQUASHING | MOVERS or used > 1:
            break
        if maker.op_type in SQUASHING:
            found.append(maker)
        value = maker.inputs[0]
    return found


def base_plan(core: ir.Model, scheme: Scheme) -> Plan:
    """Give what all plans for a core share: its scheme, preparations, and what stays in float.

    Args:
        core: A float core, not prepared.
        scheme: The number formats. Only unsigned activations have gates: a signed one that is
            symmetric has its zero in the middle.
    """
    plan = Plan(scheme=scheme)
    if not scheme.symmetric:
        plan = replace(plan, preparations=(*plan.preparations, "gates"))
    return replace(plan, in_float=float_by_rule(prepare(core, plan.preparations)))
