"""Replay what ONNX Runtime runs: its optimised graph, operator by operator.

Those that multiply unsigned by signed bytes are computed in exact integers here; every other one
runs alone in ONNX Runtime, without further optimisation. Wrong values are carried on, so that the
answers at the end are those of a CPU that saturates everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError
from edgecnn.quantization.running import open_core
from edgecnn.quantization.safety import optimised
from edgecnn.quantization.saturation.computing import Counts, run_multiplier
from edgecnn.quantization.saturation.reading import Multiplier, left_out, read_multiplier

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

_MOST_AT_ONCE, _VALUES_AT_ONCE = 16, 1 << 18
# What ONNX Runtime hangs on the name of a node that it has rewritten.
_TOKEN = re.compile(r"(_token_\d+)+$")


@dataclass(frozen=True, eq=False)
class Replay:
    """What a model answers.

    Attributes:
        outputs: Every output by its name, the images' rows stacked; [M, …].
        counts: What was counted in each operator that multiplies bytes, by the model's layer.
    """

    outputs: dict[str, NDArray[Any]]
    counts: dict[str, Counts] = field(default_factory=dict)


class Player:
    """A model that is ready to be replayed.

    Args:
        content: An ONNX model.

    Raises:
        ModelError: ONNX Runtime refuses the model.

    Attributes:
        not_replayed: Kinds of operators that multiply bytes in a way that is not replayed here.
    """

    def __init__(self, content: bytes) -> None:
        from onnx import numpy_helper

        self._model = optimised(content)
        graph = self._model.graph
        self._constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self.not_replayed = tuple(
            dict.fromkeys(node.op_type for node in graph.node if left_out(node, self._constants))
        )
        self._steps = [
            read_multiplier(node, self._constants) or _Alone(node, self._model)
            for node in graph.node
        ]
        self._outputs = [each.name for each in graph.output]
        self._last_use = {
            name: place for place, node in enumerate(graph.node) for name in node.input
        } | dict.fromkeys(self._outputs, len(graph.node))

    def play(
        self,
        contract: InputContract,
        images: NDArray[np.uint8],
        *,
        saturating: bool,
        tell: Callable[[float], None] | None = None,
    ) -> Replay:
        """Answer images.

        Args:
            contract: Scale, mean, std and layout of a model without preprocessing.
            images: uint8 [M, height, width, channels].
            saturating: Saturate as AVX2 does, and count; otherwise compute exactly.
            tell: Called with the share (0 to 1) that is behind.
        """
        counts: dict[str, Counts] = {}
        parts: list[list[NDArray[Any]]] = []
        name, feeds = self._feeds(contract, images)
        for done, values in enumerate(feeds):
            if tell:
                tell(min(1.0, done * len(values) / len(images)))
            parts.append(self._run({name: values}, counts, saturating=saturating))
        return Replay(self._stacked(parts, len(images)), counts)

    def run_here(
        self, content: bytes, contract: InputContract, images: NDArray[np.uint8]
    ) -> dict[str, NDArray[Any]]:
        """Give what ONNX Runtime answers on this CPU, every output by its name."""
        session = open_core(content)
        name, feeds = self._feeds(contract, images)
        parts = [session.run(self._outputs, {name: values}) for values in feeds]
        return self._stacked(parts, len(images))

    def _stacked(self, parts: list[list[NDArray[Any]]], images: int) -> dict[str, NDArray[Any]]:
        import numpy as np

        stacked = [np.concatenate(columns)[:images] for columns in zip(*parts, strict=True)]
        return dict(zip(self._outputs, stacked, strict=True))

    def _run(
        self, values: dict[str, Any], counts: dict[str, Counts], *, saturating: bool
    ) -> list[Any]:
        for place, step in enumerate(self._steps):
            if isinstance(step, Multiplier):
                made, found = run_multiplier(step, values[step.source], saturating=saturating)
                layer = _TOKEN.sub("", step.name)
                counts[layer] = counts.get(layer, Counts()) + found
                values[step.target] = made
            else:
                values |= step.run(values, self._constants)
            values = {
                name: value
                for name, value in values.items()
                if self._last_use.get(name, -1) > place
            }
        return [values[name] for name in self._outputs]

    def _feeds(
        self, contract: InputContract, images: NDArray[np.uint8]
    ) -> tuple[str, Iterator[NDArray[Any]]]:
        [image] = [each for each in self._model.graph.input if each.name not in self._constants]
        shape = image.type.tensor_type.shape.dim
        batch = shape[0].dim_value if shape else 0
        raw = image.type.tensor_type.elem_type == _UINT8
        return image.name, _feeds(contract, images, batch, raw=raw)


_UINT8 = 2  # onnx.TensorProto.UINT8, without importing onnx


class _Alone:
    """One operator, run by ONNX Runtime as it stands."""

    def __init__(self, node: onnx.NodeProto, model: onnx.ModelProto) -> None:
        self._node, self._model = node, model
        self._names = [name for name in dict.fromkeys(node.output) if name]
        self._session: Any = None

    def run(self, values: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, Any]:
        inputs = {name: values[name] for name in dict.fromkeys(self._node.input) if name in values}
        if self._session is None:
            self._session = self._open(inputs, constants)
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))

    def _open(self, inputs: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
        import onnx
        import onnxruntime

        fixed = [
            onnx.numpy_helper.from_array(constants[name], name)
            for name in dict.fromkeys(self._node.input)
            if name in constants
        ]
        given = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
            )
            for name, value in inputs.items()
        ]
        made = [onnx.ValueInfoProto(name=name) for name in self._names]
        graph = onnx.helper.make_graph([self._node], "alone", given, made, fixed)
        alone = onnx.helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.intra_op_num_threads, settings.log_severity_level = 1, 4
        try:
            return onnxruntime.InferenceSession(
                alone.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(
                f"The operator '{self._node.name or self._node.op_type}' cannot be replayed alone.",
                "Run the golden vectors on that CPU instead: `edgecnn parity --as-cpu haswell`.",
            ) from error


def _feeds(
    contract: InputContract, images: NDArray[np.uint8], batch: int, *, raw: bool
) -> Iterator[NDArray[Any]]:
    """Give images as the model takes them, some at a time; the last one fills a fixed batch."""
    import numpy as np

    from edgecnn.predictor import normalise

    fits = _VALUES_AT_ONCE // math.prod(contract.pixel_shape)
    size = batch or max(1, min(_MOST_AT_ONCE, fits))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        if batch and len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        yield part if raw else normalise(contract, part)
