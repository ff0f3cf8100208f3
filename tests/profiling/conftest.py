"""Operators of graphs as ONNX Runtime runs them, and the work in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from onnx import ModelProto

from edgecnn.plain import Request, batches, open_files
from edgecnn.profiling.mapping import Mapped
from edgecnn.profiling.work import Graph, Work, measure_work, read_graph
from edgecnn.runtime import open_session
from edgecnn.spec import TensorSpec


@dataclass(frozen=True)
class Seen:
    """A graph, and what its operators do."""

    graph: Graph
    works: tuple[Work, ...]
    mapped: Mapped

    @property
    def layers(self) -> list[tuple[str, tuple[str, ...]]]:
        """The kind of each operator and the names of its layers."""
        return [(work.kind, tuple(map(self.graph.name, work.layers))) for work in self.works]

    def of(self, layer: str) -> Work:
        """Give the operator that computes a layer."""
        (found,) = (work for work in self.works if layer in map(self.graph.name, work.layers))
        return found


See = Callable[[ModelProto | bytes], Seen]


@pytest.fixture
def see(tmp_path: Path) -> See:
    """Give a function that runs a model with ONNX Runtime's profile."""

    def run(model: ModelProto | bytes) -> Seen:
        content = model if isinstance(model, bytes) else model.SerializeToString()
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        (file,) = open_files([path])
        runs, _ = batches(file, Request(), 1, file)
        with open_session(file.variant, threads=1, options={"profiling": "on"}) as session:
            for one in runs[:3]:
                session.prepare(one)()
            operators = session.profile()
        given = [TensorSpec(name, x.dtype.name, x.shape) for name, x in runs[0].items()]
        graph = read_graph(content, where="model.onnx", inputs=given)
        return Seen(graph, *measure_work(graph, operators))

    return run
