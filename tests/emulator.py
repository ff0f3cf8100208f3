"""Run ONNX files as another CPU would, in QEMU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

EMULATOR = "qemu-x86_64-static"
CHILD = """
import sys
import numpy as np, onnxruntime
file, inputs, answers = sys.argv[1:]
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
np.savez(answers, *session.run(None, dict(np.load(inputs))))
"""
needs_emulator = pytest.mark.skipif(
    shutil.which(EMULATOR) is None, reason="needs `apt-get install qemu-user-static`"
)


def run_as(
    cpu: str, content: bytes, inputs: dict[str, NDArray[Any]], folder: Path
) -> list[NDArray[Any]]:
    """Give the outputs of an ONNX file on an emulated x86 CPU, such as Haswell."""
    file, given, answers = (folder / name for name in ("net.onnx", "in.npz", "out.npz"))
    file.write_bytes(content)
    np.savez(given, **inputs)  # type: ignore[arg-type]
    # numpy would take a type of CPU that is named there, and die of it on an older one.
    unset = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "ORT_DISABLE_TELEMETRY": "1"}
    python = os.path.realpath(sys.executable)
    command = [EMULATOR, "-cpu", cpu, python, "-c", CHILD, *map(str, (file, given, answers))]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    with np.load(answers) as found:
        return list(found.values())
