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

from edgecnn.emulation import emulator_for

CHILD = """
import sys
import numpy as np, onnxruntime
file, inputs, answers = sys.argv[1:]
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
np.savez(answers, *session.run(None, dict(np.load(inputs))))
"""
needs_emulator = pytest.mark.skipif(
    shutil.which("qemu-x86_64-static") is None, reason="needs `apt-get install qemu-user-static`"
)


def run_as(
    cpu: str, content: bytes, inputs: dict[str, NDArray[Any]], folder: Path
) -> list[NDArray[Any]]:
    """Give the outputs of an ONNX file on an emulated x86 CPU, such as haswell."""
    file, given, answers = (folder / name for name in ("net.onnx", "in.npz", "out.npz"))
    file.write_bytes(content)
    np.savez(given, **inputs)  # type: ignore[arg-type]
    emulator = emulator_for(cpu)
    environment = emulator.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*emulator.launcher, os.path.realpath(sys.executable), "-c", CHILD]
    command += map(str, (file, given, answers))
    subprocess.run(command, capture_output=True, check=True, env=environment)
    with np.load(answers) as found:
        return list(found.values())
