"""Which of the model's layers each operator of the runtime computes.

A runtime fuses operators, renames them and adds some of its own, and does not say what became of
what. Four things tell, in this order:

1. An operator bears the name of a layer or of what a layer makes, but for what the runtime puts
   before and behind it (`fused fc1/Gemm`, `Relu_nchwc`, `conv1/Conv_token_3`), or its own first
   output is a layer's.
2. If that layer is of another kind (a Conv that is named after the Relu behind it), the nearest one
   of the operator's own kind before it belongs to it too, with what lies between. Where there is
   none (a LayerNormalization, which the model spells out), all that nothing else is named after.
3. What no operator is named after was fused into one beside it: into that one of those before it
   which runs last, for only then are all its inputs there; at the start, into the one behind it.
4. Layers that only change a shape, and are not found, need no operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecnn.spec import OperatorRun

if TYPE_CHECKING:
    from onnx import NodeProto

QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
MOVERS = frozenset(
    {"Dropout", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ADDED = frozenset({"Cast", "MemcpyFromHost", "MemcpyToHost", "ReorderInput", "ReorderOutput"})
_BEFORE = re.compile(r"^(fused |Fused)")
_BEHIND = re.compile(r"(_nchwc|_token_\d+|_quant|_q|_bn|_mul|_add|/\w*Fusion\w*/)$")
_FAR = 12  # layers that one operator may reach back over


@dataclass(frozen=True)
class Mapped:
    """What became of the layers.

    Attributes:
        layers: For each operator, the places of its layers among the model's nodes, in order.
        removed: Places of layers that need no operator.
    """

    layers: tuple[tuple[int, ...], ...]
    removed: tuple[int, ...]


@dataclass
class _State:
    nodes: Sequence[NodeProto]
    runs: Sequence[OperatorRun]
    makers: Mapping[str, int]
    owner: dict[int, int] = field(default_factory=dict)  # of a node: the place of its operator

    def before(self, node: int) -> Iterator[int]:
        for name in self.nodes[node].input:
            if name in self.makers:
                yield self.makers[name]

    def owned(self, run: int) -> list[int]:
        return sorted(node for node, owner in self.owner.items() if owner == run)

    def kind_fits(self, run: int, node: int) -> bool:
        kind, operator = self.nodes[node].op_type, self.runs[run].operator
        # A MatMul and the Add behind it become a Gemm.
        return operator.endswith(kind) or (kind == "MatMul" and operator.endswith("Gemm"))


def map_layers(nodes: Sequence[NodeProto], runs: Sequence[OperatorRun]) -> Mapped:
    """Find the model's layers in the operators that a runtime ran.

    Args:
        nodes: The model's nodes that compute something from its input, in order.
        runs: The operators, in the order in which they ran.
    """
    makers = {name: place for place, node in enumerate(nodes) for name in node.output}
    state = _State(nodes, runs, makers)
    _by_name(state)
    _by_output(state)
    for run in range(len(runs)):
        _reach_back(state, run)
    _fused(state)
    layers = [_layers(state, run) for run in range(len(runs))]
    lost = [place for place in range(len(nodes)) if place not in state.owner]
    removed = [place for place in lost if nodes[place].op_type not in QUANTIZERS]
    return Mapped(tuple(layers), tuple(removed))


def _layers(state: _State, run: int) -> tuple[int, ...]:
    owned = state.owned(run)
    computing = [place for place in owned if state.nodes[place].op_type not in QUANTIZERS]
    return tuple(computing)


def _by_name(state: _State) -> None:
    names = {node.name: place for place, node in enumerate(state.nodes) if node.name}
    # Shorter and shorter names, so that the nearest one is taken; of each, a layer's before a
    # tensor's.
    tries = [dict(enumerate(names_of(run.name))) for run in state.runs]
    for step in range(max(map(len, tries), default=0)):
        for known in (names, state.makers):
            for run, shorter in enumerate(tries):
                place = known.get(shorter.get(step, ""))
                free = place is not None and place not in state.owner and not state.owned(run)
                if place is not None and free and (not step or _could_be(state, run, place)):
                    state.owner[place] = run


def names_of(name: str) -> list[str]:
    """Give a name, then without what a runtime puts before it, then without each thing behind it.

    >>> names_of("fused conv/Conv_bn_nchwc")
    ['fused conv/Conv_bn_nchwc', 'conv/Conv_bn_nchwc', 'conv/Conv_bn', 'conv/Conv']
    """
    found = [name]
    for pattern in (_BEFORE, *[_BEHIND] * 4):
        shorter = pattern.sub("", found[-1])
        if shorter != found[-1]:
            found.append(shorter)
    return found


def _could_be(state: _State, run: int, node: int) -> bool:
    """Say whether an operator may be named after a layer of another kind."""
    kind = state.runs[run].operator.rpartition(":")[2]
    moves = kind in MOVERS | _ADDED | QUANTIZERS
    return state.kind_fits(run, node) or not moves


def _by_output(state: _State) -> None:
    for run, operator in enumerate(state.runs):
        if state.owned(run) or not operator.outputs:
            continue
        place = state.makers.get(operator.outputs[0].name)
        if place is not None and place not in state.owner and _could_be(state, run, place):
            state.owner[place] = run


def _reach_back(state: _State, run: int) -> None:
    """Give an operator the layers before the one it is named after that are in it too."""
    owned = state.owned(run)
    if not owned or any(state.kind_fits(run, node) for node in owned):
        return
    paths, region = [[owned[0]]], set[int]()
    while paths:
        path = paths.pop(0)
        for node in state.before(path[-1]):
            if node in state.owner or node in region or len(path) > _FAR:
                continue
            if state.kind_fits(run, node):
                state.owner |= dict.fromkeys([*path, node], run)
                return
            if state.nodes[node].op_type not in WEIGHED:
                region.add(node)
                paths.append([*path, node])
    if state.nodes[owned[0]].op_type not in QUANTIZERS:
        state.owner |= dict.fromkeys(region - _movers(state, region), run)


def _movers(state: _State, places: set[int]) -> set[int]:
    return {place for place in places if state.nodes[place].op_type in MOVERS}


def _fused(state: _State) -> None:
    """Give what is left to the operators beside it: forwards, then what is left backwards."""
    for place in range(len(state.nodes)):
        if place not in state.owner and _fusable(state, place):
            owners = [state.owner[node] for node in state.before(place) if node in state.owner]
            takers = [run for run in owners if _takes(state, run, place)]
            if takers:
                state.owner[place] = max(takers)
    users = _users(state)
    for place in reversed(range(len(state.nodes))):
        if place not in state.owner and _fusable(state, place):
            owners = [state.owner[node] for node in users.get(place, ()) if node in state.owner]
            takers = [run for run in owners if _takes(state, run, place)]
            if takers:
                state.owner[place] = min(takers)


def _users(state: _State) -> dict[int, list[int]]:
    users: dict[int, list[int]] = {}
    for place in range(len(state.nodes)):
        for node in state.before(place):
            users.setdefault(node, []).append(place)
    return users


def _fusable(state: _State, node: int) -> bool:
    # Of those that only move data none is fused: they vanish, or turn up elsewhere.
    return state.nodes[node].op_type not in MOVERS


def _takes(state: _State, run: int, node: int) -> bool:
    """Say whether an operator may have a layer fused into it that it is not named after."""
    kind = state.nodes[node].op_type
    if kind in WEIGHED:
        return state.kind_fits(run, node)
    operator = state.runs[run].operator.rpartition(":")[2]
    return kind in QUANTIZERS or operator not in MOVERS | _ADDED | QUANTIZERS
