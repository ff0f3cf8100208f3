"""Timing small operators: by running the graph up to each of them.

ONNX Runtime's profile counts in whole microseconds and adds two to four of them to every operator,
which is more than most of a small net take. Here the graph, as the engine runs it, is cut behind
each operator; what an operator takes is the difference between two such prefixes. Nothing is
profiled, and outputs are written where they are wanted (IO binding), so that no copy of them is
timed. Only one prefix is open at a time, for an engine's threads spin on after a call and would
slow down the next; each is opened several times, for where a session's memory lies changes its
speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from edgecnn.runtime import TensorSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

# Beyond these the noise of whole runs is coarser than the profile's clock.
MOST_NS = 600_000
_MOST_BYTES = 64 << 20  # of the graph; every prefix has a session of its own
_MOST_OPERATORS = 128
_PASSES, _BURSTS, _CALLS, _WARMUP = 4, 10, 9, 5
_START = "edgecnn/start"

MakeSession = Callable[[bytes], Any]


def worth_it(model: ModelProto, run_ns: float) -> bool:
    """Say whether prefixes would be finer than the profile."""
    count = len(model.graph.node)
    small = count <= _MOST_OPERATORS and count * model.ByteSize() <= _MOST_BYTES
    return run_ns <= MOST_NS and small


def time_prefixes(
    model: ModelProto,
    make_session: MakeSession,
    feed: Mapping[str, Any],
    shapes: Mapping[str, TensorSpec],
) -> list[list[int]]:
    """Time every operator of an optimized graph.

    Args:
        model: The graph as the engine runs it, in the order in which it runs it.
        make_session: Opens a graph as it is.
        feed: The inputs, by name.
        shapes: Of every tensor that an operator makes, by name.

    Returns:
        For each operator, the nanoseconds that it took each time; noise may make them negative.
    """
    prefixes = list(_prefixes(model))
    times: list[list[int]] = [[] for _ in prefixes]
    for _ in range(_PASSES):
        for mine, content in zip(times, prefixes, strict=True):
            mine += _bursts(_call(make_session(content), feed, shapes))
    return [[long - short for short, long in zip(*pair, strict=True)] for pair in pairwise(times)]


def _prefixes(model: ModelProto) -> Iterator[bytes]:
    """Give the graph that does next to nothing, then the one up to each operator."""
    from onnx import ModelProto, helper

    wanted = {value.name for value in model.graph.output}
    start = helper.make_node("Shape", [model.graph.input[0].name], [_START])
    for length in range(len(model.graph.node) + 1):
        prefix = ModelProto()
        prefix.CopyFrom(model)
        graph = prefix.graph
        del graph.node[length:]
        if not length:
            graph.node.append(start)
        read = {name for node in graph.node for name in node.input}
        made = [name for node in graph.node for name in node.output if name]
        _set_outputs(graph, [name for name in made if name not in read or name in wanted])
        _drop_unused(graph, read)
        yield prefix.SerializeToString()


def _set_outputs(graph: GraphProto, names: Sequence[str]) -> None:
    from onnx import helper

    del graph.output[:]
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)


def _drop_unused(graph: GraphProto, read: set[str]) -> None:
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _call(
    session: Any, feed: Mapping[str, Any], shapes: Mapping[str, TensorSpec]
) -> Callable[[], object]:
    import numpy as np
    from onnxruntime import OrtValue

    binding = session.io_binding()
    for value in session.get_inputs():
        binding.bind_cpu_input(value.name, feed[value.name])
    held = []
    for value in session.get_outputs():
        spec = shapes.get(value.name)
        if spec is None:
            binding.bind_output(value.name, "cpu")
            continue
        place = OrtValue.ortvalue_from_shape_and_type(list(spec.shape), np.dtype(spec.dtype))
        binding.bind_ortvalue_output(value.name, place)
        held.append(place)
    return partial(_run, session, binding, held)


def _run(session: Any, binding: Any, held: object) -> None:
    session.run_with_iobinding(binding)  # which holds no reference to what it writes to


def _bursts(call: Callable[[], object]) -> list[int]:
    """Time a prefix: the medians of some bursts of calls, in nanoseconds."""
    for _ in range(_WARMUP):
        call()
    return [_burst(call) for _ in range(_BURSTS)]


def _burst(call: Callable[[], object]) -> int:
    clock, times = time.perf_counter_ns, []
    for _ in range(_CALLS):
        begun = clock()
        call()
        times.append(clock() - begun)
    return round(median(times))
