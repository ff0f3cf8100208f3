"""A kernel needs no net: conv_u8.h with what it includes, beside the same in the plainest C."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgecnn.codegen.kernels import Kernels
from tests.codegen.compiled import KERNELS, WARNINGS
from tests.codegen.standalone import PROGRAMS, needs

pytestmark = needs({"gcc": "gcc"})
_FLAGS = {
    "plain C": "-DEDGECNN_NO_SIMD",
    "without floats": "-DEDGECNN_NO_FLOATS",
    "this CPU": "-march=native",
}


@pytest.mark.parametrize("flags", _FLAGS.values(), ids=_FLAGS)
def test_a_convolution_is_that_of_plain_loops(flags: str, tmp_path: Path) -> None:
    (tmp_path / "kernel.h").write_text(Kernels(KERNELS).text(["conv_u8"]))
    command = ["gcc", "-std=c99", "-O1", flags, *WARNINGS, f"-I{tmp_path}", "-o", "alone"]
    made = subprocess.run(
        [*command, str(PROGRAMS / "alone.c")], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([tmp_path / "alone"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
