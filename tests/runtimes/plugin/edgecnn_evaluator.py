"""The evaluator of the onnx package as a runtime: slow, and as near to the text as can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.runtime import Availability, Options, TensorSpec, Variant, choose_options

NAME = "evaluator"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
OPTIONS: Mapping[str, tuple[str, ...]] = {"trace": ("off", "on")}
MOST_THREADS = 1
LIMITS: Mapping[str, str] = {"int8": "It has no quantized operators of opset 18 and below."}


def availability(provider: str) -> Availability:
    """Say whether the package is here; its engine is not imported for that."""
    if provider not in PROVIDERS:
        return Availability(
            ok=False, reason=f"evaluator has no '{provider}'.", remedy="Use --provider cpu."
        )
    try:
        return Availability(ok=True, versions={"onnx": version("onnx")})
    except PackageNotFoundError:
        return Availability(ok=False, reason="onnx is not installed.", remedy="pip install onnx")


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> EvaluatorSession:
    """Read the file, or refuse it in one sentence."""
    chosen = choose_options(NAME, OPTIONS, options)
    import onnx
    from onnx.reference import ReferenceEvaluator

    path = str(variant.path)
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        engine = ReferenceEvaluator(model, verbose=2 if chosen["trace"] == "on" else 0)
    except Exception as error:
        why = " ".join(str(error).split())
        raise ModelError(f"evaluator refuses {path}: {why}", "Use --runtime ort.") from error
    return EvaluatorSession(engine, model.graph)


class EvaluatorSession:
    """A graph that is evaluated node by node."""

    provider = "cpu"

    def __init__(self, engine: Any, graph: Any) -> None:
        constants = {tensor.name for tensor in graph.initializer}
        self._engine = engine
        self.inputs = tuple(_spec(value) for value in graph.input if value.name not in constants)
        self.outputs = tuple(map(_spec, graph.output))

    def run(self, inputs: Any) -> dict[str, Any]:
        """Compute the outputs, by name."""
        import numpy as np

        try:
            values = self._engine.run(None, dict(inputs))
        except Exception as error:
            raise RuntimeCrashed(f"evaluator failed in a run: {error}.") from error
        names = [spec.name for spec in self.outputs]
        return {name: np.array(value) for name, value in zip(names, values, strict=True)}

    def prepare(self, inputs: Any) -> Callable[[], object]:
        """Give the engine's own call, which a benchmark times."""
        return partial(self._engine.run, None, dict(inputs))

    def close(self) -> None:
        """Free the graph."""
        self._engine = None


def _spec(value: Any) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    shape = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    return TensorSpec(value.name, tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
