"""What ONNX Runtime's own profile says: which operators it runs, and how long each took.

A session that is opened for it writes two files into a folder of its own: the graph as the engine
runs it, after all fusions, and a list of events. Both are read when the profile is asked for, and
the folder is removed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from edgecnn.errors import UnavailableError
from edgecnn.runtime import OperatorRun, TensorSpec

from .dtypes import DTYPES
from .prefixes import MakeSession, time_prefixes, worth_it

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_EVENT = "_kernel_time"


class Recording:
    """The folder into which a session writes its profile.

    Args:
        path: The model's file.

    Attributes:
        source: What the session is to be made from: the file, or its content with every operator
            named.

    Raises:
        UnavailableError: onnx is not installed.
    """

    def __init__(self, path: str) -> None:
        self.source = _named(path)
        self._folder = tempfile.TemporaryDirectory(prefix="edgecnn-profile-")
        self._graph = Path(self._folder.name) / "optimized.onnx"

    def write_to(self, settings: Any) -> None:
        """Have a session with these settings write its profile and its graph there."""
        settings.optimized_model_filepath = str(self._graph)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(self._graph.parent / "profile")

    def read(
        self, session: Any, feed: Mapping[str, Any], make_session: MakeSession
    ) -> tuple[OperatorRun, ...]:
        """End the session's profile and give its operators in the order in which they ran.

        Args:
            session: ONNX Runtime's session.
            feed: What its last run was given, by name.
            make_session: Opens a graph as it is, without a profile.
        """
        import onnx

        events = json.loads(Path(session.end_profiling()).read_bytes())
        model = onnx.load(str(self._graph), load_external_data=False)
        self.close()
        fed = {name: TensorSpec(name, x.dtype.name, x.shape) for name, x in feed.items()}
        operators = tuple(_operators(model.graph, _by_operator(events), fed))
        total = sum(median(each.times_ns) for each in operators)
        if not worth_it(model, total) or len(operators) != len(model.graph.node):
            return operators
        return _with_finer_times(model, operators, feed, make_session)

    def close(self) -> None:
        """Remove the folder; closing twice is harmless."""
        self._folder.cleanup()


def _named(path: str) -> str | bytes:
    """Give a model whose operators have names, which the events then bear."""
    try:
        import onnx
    except ImportError as error:
        raise UnavailableError(
            "A profile is read with onnx, which is not installed.",
            "Install it with `pip install 'edgecnn[onnx]'`.",
        ) from error
    names = [node.name for node in onnx.load(path, load_external_data=False).graph.node]
    if all(names) and len(set(names)) == len(names):
        return path
    model = onnx.load(path)
    for node in model.graph.node:
        if not node.name or names.count(node.name) > 1:
            node.name = node.output[0]
    content: bytes = model.SerializeToString()
    return content


def _with_finer_times(
    model: ModelProto,
    operators: tuple[OperatorRun, ...],
    feed: Mapping[str, Any],
    make_session: MakeSession,
) -> tuple[OperatorRun, ...]:
    nodes = {node.output[0]: node for node in model.graph.node}
    ordered = [nodes[each.outputs[0].name] for each in operators]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    shapes = {spec.name: spec for each in operators for spec in each.outputs}
    times = time_prefixes(model, make_session, feed, shapes)
    return tuple(
        replace(each, finer_ns=finer) for each, finer in zip(operators, times, strict=True)
    )


def _by_operator(events: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Group the events by operator, in the order in which those ran."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_EVENT):
            groups.setdefault(int(event["args"]["node_index"]), []).append(event)
    return groups


def _operators(
    graph: GraphProto, groups: dict[int, list[dict[str, Any]]], fed: Mapping[str, TensorSpec]
) -> Iterator[OperatorRun]:
    nodes: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        nodes.setdefault(node.name, []).append(node)
    constants = {weight.name: _constant(weight) for weight in graph.initializer}
    known = dict(fed)
    for events in groups.values():
        name = events[0]["name"].removesuffix(_EVENT)
        if not nodes.get(name):
            continue  # of a subgraph, or without a name
        node = nodes[name].pop(0)
        outputs = tuple(_outputs(node, events[-1]))
        known |= {each.name: each for each in outputs}
        yield OperatorRun(
            name=name,
            operator=":".join(filter(None, (node.domain, node.op_type))),
            inputs=tuple(known[each] for each in node.input if each in known),
            constants=tuple(constants[each] for each in node.input if each in constants),
            outputs=outputs,
            times_ns=[1_000 * int(event["dur"]) for event in events],
        )


def _outputs(node: NodeProto, event: dict[str, Any]) -> Iterator[TensorSpec]:
    # An output that nobody reads has no shape in the event.
    names = [name for name in node.output if name]
    for name, value in zip(names, event["args"]["output_type_shape"], strict=False):
        for kind, shape in value.items():
            yield TensorSpec(name, DTYPES.get(kind, kind), tuple(shape))


def _constant(weight: Any) -> TensorSpec:
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(weight.data_type).name
    return TensorSpec(weight.name, dtype, tuple(weight.dims))
