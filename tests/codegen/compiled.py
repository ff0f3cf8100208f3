"""A graph, generated as C, compiled and run: what every test of the C target is about."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgecnn.codegen import Generated, generate

KERNELS = Path(__file__).parents[2] / "runtimes" / "c" / "kernels"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
FLAGS = ("-std=c99", "-O2", *WARNINGS)


@dataclass(frozen=True)
class Compiled:
    """A net in a shared library.

    Attributes:
        made: What was generated.
        folder: Where net.c and net.h lie, and net.so.
    """

    made: Generated
    folder: Path

    def run(self, image: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Answer one image, given as the caller of the C function gives it."""
        function = getattr(ctypes.CDLL(str(self.folder / "net.so")), f"{self.made.prefix}_run")
        function.restype = None
        image = np.ascontiguousarray(image)
        outputs = np.full(sum(each.size for each in self.made.program.outputs), np.nan, np.float32)
        arrays = [image, outputs]
        if self.made.weights is not None:
            arrays.insert(0, np.frombuffer(self.made.weights, np.uint8))
        function(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
        found, place = {}, 0
        for each in self.made.program.outputs:
            found[each.name] = outputs[place : place + each.size].reshape(each.shape)
            place += each.size
        return found


def compile_net(
    model: onnx.ModelProto, folder: Path, flags: Sequence[str] = FLAGS, compiler: str = "cc"
) -> Compiled:
    """Generate C from a model and compile it; a warning is an error."""
    made = write_net(model, folder)
    command = [compiler, *flags, "-shared", "-fPIC", "-o", "net.so", "net.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return Compiled(made, folder)


def write_net(model: onnx.ModelProto, folder: Path) -> Generated:
    """Write net.c and net.h, and net.bin where weights are apart."""
    content = model.SerializeToString()
    made = generate(content, where="net.onnx", name="net", prefix="net", kernels=KERNELS)
    (folder / "net.c").write_text(made.source)
    (folder / "net.h").write_text(made.header)
    if made.weights is not None:
        (folder / "net.bin").write_bytes(made.weights)
    return made


def run_ort(model: onnx.ModelProto, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Answer as ONNX Runtime does, on one thread."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))
