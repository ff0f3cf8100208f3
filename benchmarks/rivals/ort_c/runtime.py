"""ONNX Runtime without Python's binding: its library from the wheel, called from C (`loop.c`)."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.errors import RuntimeCrashed
from edgecnn.runtime import Availability, Options, TensorSpec, Variant, choose_options

NAME = "ort_c"
FORMATS = frozenset({"onnx"})
PROVIDERS = ("cpu",)
_TYPES = {"float32": 1, "uint8": 2}  # ONNXTensorElementDataType


class _Loop(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("api", "session", "input", "output")] + [
        (name, ctypes.c_char_p) for name in ("input_name", "output_name")
    ]


@dataclass
class LoopSession:
    """A session of ONNX Runtime's C API for one image."""

    library: Any
    base: Any
    path: bytes
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    provider = "cpu"

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the outputs, by name."""
        call, output = self._bound(inputs)
        if call():
            raise RuntimeCrashed("ONNX Runtime failed in a run.", "")
        return {self.outputs[0].name: output}

    def prepare(self, inputs: Mapping[str, Any]) -> Callable[[], object]:
        """Give the call on these inputs."""
        return self._bound(inputs)[0]

    def close(self) -> None:
        """Leave it to the process."""

    def _bound(self, inputs: Mapping[str, Any]) -> tuple[Callable[[], object], Any]:
        import numpy as np

        (given,), (made,) = self.inputs, self.outputs
        loop = _Loop(input_name=given.name.encode(), output_name=made.name.encode())
        _check(self.library.loop_open(ctypes.byref(loop), self.base, self.path, self.threads))
        image = np.ascontiguousarray(inputs[given.name])
        output = np.zeros([1, *made.shape[1:]], np.float32)
        for field, array in (("input", image), ("output", output)):
            value, shape = ctypes.c_void_p(), (ctypes.c_int64 * array.ndim)(*array.shape)
            pointer = array.ctypes.data_as(ctypes.c_void_p)
            kind = _TYPES[array.dtype.name]
            size, rank = ctypes.c_size_t(array.nbytes), ctypes.c_size_t(array.ndim)
            _check(
                self.library.loop_bind(
                    ctypes.byref(loop), ctypes.byref(value), pointer, size, shape, rank, kind
                )
            )
            setattr(loop, field, value)
        loop.held = (image, output)
        return partial(self.library.loop_run, ctypes.byref(loop)), output


def availability(provider: str) -> Availability:
    """Say that it can run: the benchmark has looked."""
    import onnxruntime

    return Availability(ok=True, versions={"onnxruntime": onnxruntime.__version__})


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> LoopSession:
    """Open an ONNX file with one input and one output."""
    choose_options(NAME, {}, options)
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(variant.path), settings)
    specs = [
        tuple(TensorSpec(each.name, _numpy(each.type), tuple(each.shape)) for each in given)
        for given in (session.get_inputs(), session.get_outputs())
    ]
    (path,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    return LoopSession(
        _compiled(),
        ctypes.CDLL(str(path)).OrtGetApiBase,
        str(variant.path).encode(),
        threads,
        *specs,
    )


def _numpy(kind: str) -> str:
    return {"tensor(float)": "float32", "tensor(uint8)": "uint8"}[kind]


def _compiled() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "loop.so"
        source = Path(__file__).parent / "loop.c"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", made, source], check=True)
        library = ctypes.CDLL(str(made))
    library.loop_open.restype = library.loop_bind.restype = ctypes.c_char_p
    return library


def _check(problem: bytes | None) -> None:
    if problem:
        raise RuntimeCrashed(f"ONNX Runtime: {problem.decode()}", "")
