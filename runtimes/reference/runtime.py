"""The onnx package's reference evaluator: slow, and written to be obviously right.

It computes with NumPy, which chooses its own threads: `threads` changes nothing here.

Options:
    precision: `fp32` (default), the types of the graph; or `float64`, every float in double,
        so that only the graph and not its rounding is seen. Float outputs are then float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.runtime import (
    Availability,
    Options,
    TensorSpec,
    Variant,
    choose_options,
    package_availability,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, ValueInfoProto
    from onnx.reference import ReferenceEvaluator

    Arrays = Mapping[str, NDArray[np.generic]]

NAME = "reference"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
OPTIONS = {"precision": ("fp32", "float64")}


class ReferenceSession:
    """A graph in the reference evaluator."""

    provider = "cpu"

    def __init__(self, model: ModelProto, evaluator: ReferenceEvaluator, *, double: bool) -> None:
        self._evaluator: ReferenceEvaluator | None = evaluator
        self._double = double
        self.precision = "float64" if double else "fp32"
        constants = {tensor.name for tensor in model.graph.initializer}
        self.inputs = tuple(_spec(v) for v in model.graph.input if v.name not in constants)
        specs = tuple(map(_spec, model.graph.output))
        self.outputs = tuple(map(_in_double, specs)) if double else specs
        self._names = [spec.name for spec in self.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs, by name."""
        import numpy as np

        assert self._evaluator is not None
        try:
            values = self._evaluator.run(self._names, self._feed(inputs))
        except Exception as error:
            problem = f"The reference evaluator failed in a run: {_sentence(error)}"
            raise RuntimeCrashed(problem) from error
        # An operator may hand on its input or a constant of the graph: the caller gets a copy.
        outputs = {n: np.array(value) for n, value in zip(self._names, values, strict=True)}
        for spec in self.outputs:
            if outputs[spec.name].dtype != spec.dtype:
                found = outputs[spec.name].dtype
                raise RuntimeCrashed(f"The reference evaluator gave {found} for {spec}.")
        return outputs

    def prepare(self, inputs: Arrays) -> Callable[[], object]:
        """Give `ReferenceEvaluator.run` on these inputs."""
        assert self._evaluator is not None
        return partial(self._evaluator.run, self._names, self._feed(inputs))

    def close(self) -> None:
        """Let go of the evaluator."""
        self._evaluator = None

    def _feed(self, inputs: Arrays) -> dict[str, Any]:
        if not self._double:
            return dict(inputs)
        return {n: v.astype("float64") if v.dtype.kind == "f" else v for n, v in inputs.items()}


def availability(provider: str) -> Availability:
    """Say whether the onnx package is there."""
    packages = {"onnx": "onnx"}
    return package_availability(NAME, provider, PROVIDERS, packages, "edgecnn[onnx]")


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> ReferenceSession:
    """Open an ONNX file.

    Raises:
        InputError: An option is unknown.
        ModelError: The file is no ONNX graph, or has an operator without a reference.
    """
    from onnx.reference import ReferenceEvaluator

    from .double import in_double
    from .operators import OPERATORS

    precision = choose_options(NAME, OPTIONS, options)["precision"]
    model = _load(variant)
    try:
        graph = in_double(model) if precision == "float64" else model
        evaluator = ReferenceEvaluator(graph, new_ops=OPERATORS)
    except Exception as error:
        raise _refusal(variant, error) from error
    return ReferenceSession(model, evaluator, double=precision == "float64")


def _load(variant: Variant) -> ModelProto:
    import onnx

    try:
        model = onnx.load(variant.files[0])
        onnx.checker.check_model(model)
    except Exception as error:
        raise _refusal(variant, error) from error
    return model


def _refusal(variant: Variant, error: Exception) -> ModelError:
    return ModelError(
        f"The reference evaluator refuses {variant.path}: {_sentence(error)}",
        "Export the model anew, or check that the file is whole.",
    )


def _sentence(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _spec(value: ValueInfoProto) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        raise ModelError(f"'{value.name}' is no tensor of known rank.", "Export the model anew.")
    # PaddlePaddle leaves a size open by writing -1.
    shape = tuple(
        axis.dim_value
        if axis.HasField("dim_value") and axis.dim_value >= 0
        else axis.dim_param or "?"
        for axis in tensor.shape.dim
    )
    return TensorSpec(value.name, tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)


def _in_double(spec: TensorSpec) -> TensorSpec:
    floats = ("float16", "float32")
    return TensorSpec(spec.name, "float64", spec.shape) if spec.dtype in floats else spec
