"""emx-onnx-cgen, another generator of C from ONNX: its code, compiled as ours is.

Arrays stay static instead of on the heap and weights in the text, and the batch is one: its best
settings. Its program is looked for on the PATH, and where EMX_ONNX_CGEN says.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.errors import ModelError
from edgecnn.runtime import Availability, Options, TensorSpec, Variant, choose_options

NAME = "emx"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
MOST_THREADS = 1
_SETTINGS = ("--large-temp-threshold", "0", "--large-weight-threshold", "0", "--restrict-arrays")


@dataclass
class EmxSession:
    """A compiled net."""

    function: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    provider = "cpu"

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the outputs, by name."""
        call, output = self._bound(inputs)
        call()
        return {self.outputs[0].name: output}

    def prepare(self, inputs: Mapping[str, Any]) -> Callable[[], object]:
        """Give the call on these inputs."""
        return self._bound(inputs)[0]

    def close(self) -> None:
        """Leave it to the process."""

    def _bound(self, inputs: Mapping[str, Any]) -> tuple[Callable[[], object], Any]:
        import numpy as np

        (given,), (made,) = self.inputs, self.outputs
        image = np.ascontiguousarray(inputs[given.name])
        output = np.zeros([int(axis) for axis in made.shape], np.float32)
        pointers = (each.ctypes.data_as(ctypes.c_void_p) for each in (image, output))
        return partial(self.function, *pointers), output


def availability(provider: str) -> Availability:
    """Say whether the generator is here."""
    if _program() is None:
        return Availability(ok=False, reason="emx-onnx-cgen is not installed.", remedy="")
    return Availability(ok=True)


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> EmxSession:
    """Generate, compile and load a net with one input and one output."""
    choose_options(NAME, {}, options)
    import onnx

    graph = onnx.load(str(variant.path)).graph
    specs = [tuple(map(_spec, values)) for values in (graph.input, graph.output)]
    with tempfile.TemporaryDirectory() as folder:
        _do(
            [
                _program(),
                "compile",
                variant.path.resolve(),
                "net.c",
                "--input-dim",
                "N=1",
                *_SETTINGS,
            ],
            folder,
        )
        flags = ["-std=c11", "-O3", "-march=native", "-shared", "-fPIC"]
        _do(["cc", *flags, "-o", "net.so", "net.c", "-lm"], folder)
        function = ctypes.CDLL(str(Path(folder) / "net.so")).model
    function.restype = None
    return EmxSession(function, *specs)


def _program() -> str | None:
    return os.environ.get("EMX_ONNX_CGEN") or shutil.which("emx-onnx-cgen")


def _do(words: list[Any], folder: str) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"{words[0]}: {done.stderr.strip()[-200:]}", "")


def _spec(value: Any) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    shape = tuple(axis.dim_value or 1 for axis in tensor.shape.dim)
    return TensorSpec(value.name, tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
