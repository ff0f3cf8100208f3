"""A stranger's runtime, as small as the contract allows: `--runtime tests/runtimes/mine`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from edgecnn.errors import ModelError, RuntimeCrashed
from edgecnn.runtime import Availability, Options, TensorSpec, Variant

NAME = "mine"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}


class MySession:
    provider = "cpu"

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.inputs = tuple(map(_spec, engine.get_inputs()))
        self.outputs = tuple(map(_spec, engine.get_outputs()))

    def run(self, inputs: Any) -> dict[str, Any]:
        try:
            values = self._engine.run(None, dict(inputs))
        except Exception as error:
            raise RuntimeCrashed("mine failed in a run.") from error
        return {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}

    def prepare(self, inputs: Any) -> Callable[[], object]:
        return partial(self._engine.run, None, dict(inputs))

    def close(self) -> None:
        del self._engine


def availability(provider: str) -> Availability:
    if provider == "cpu":
        return Availability(ok=True)
    return Availability(ok=False, reason=f"mine has no '{provider}'.", remedy="Use cpu.")


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> MySession:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # what went wrong is raised
    try:
        engine = onnxruntime.InferenceSession(
            variant.files[0], settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ModelError(f"mine refuses {variant.path}.", "Export it anew.") from error
    return MySession(engine)


def _spec(value: Any) -> TensorSpec:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(value.name, _DTYPES.get(value.type, kind), tuple(value.shape))
