"""Functions of one number: Sigmoid, HardSwish, LeakyRelu and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.functions import UNARY, Function, function_of
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.tables import add_table, table_of
from edgecnn.codegen.lowering.values import sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering


@lowers(*UNARY)
def lower_unary(lower: Lowering, node: ir.Node) -> None:
    """Compute a function of each number; of bytes by a table."""
    if lower_as_table(lower, node):
        return
    function = function_of(lower, node)
    assert function is not None
    old, target = lower.floats(node.inputs[0]), lower.target(node, clip=False)
    made = lower.tensor(target, like=old, number="float32")
    shape = sizes_of(old) | dict(function.shape)
    lower.add(node, f"{function.kernel}_f32", (old,), made, shape=shape)
    lower.finish(node, target, made)


def lower_as_table(lower: Lowering, node: ir.Node) -> bool:
    """Lower all functions between a DequantizeLinear and a QuantizeLinear at once, if it can be."""
    function = function_of(lower, node)
    value = node.inputs[0] if lower.constant(node.inputs[0]) is None else node.inputs[1]
    if function is None or lower.constant(value) is not None or lower.at_hand(value).scale is None:
        return False
    chain = _chain(lower, node, function)
    last = list(chain)[-1]
    if lower.scale_behind(last.outputs[0]) is None:
        return False
    source = lower.source(value)
    lower.absorbed.update(chain)
    target = lower.target(last, clip=False)
    made = lower.tensor(target, like=source.tensor)
    assert source.scale is not None
    assert target.scale is not None
    functions = [each.compute for each in chain.values()]
    add_table(lower, node, source.tensor, made, table_of(source.scale, target.scale, functions))
    lower.give(target, made)
    return True


def _chain(lower: Lowering, node: ir.Node, function: Function) -> dict[ir.Node, Function]:
    """Give the functions that follow one another, with nobody else reading between them."""
    chain = {node: function}
    while not node.outputs[0].is_graph_output():
        readers = lower.readers(node.outputs[0])
        following = function_of(lower, readers[0]) if len(readers) == 1 else None
        if following is None:
            break
        node = readers[0]
        chain[node] = following
    return chain
