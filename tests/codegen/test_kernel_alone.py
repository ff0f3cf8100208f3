"""A kernel needs no net: its file with what it includes, beside the same in the plainest C."""

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


def _run(kernel: str, program: str, flags: str, folder: Path) -> None:
    (folder / "kernel.h").write_text(Kernels(KERNELS).text([kernel]))
    command = ["gcc", "-std=c99", *flags.split(), *WARNINGS, f"-I{folder}", "-o", "alone"]
    made = subprocess.run(
        [*command, str(PROGRAMS / program)], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([folder / "alone"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("flags", _FLAGS.values(), ids=_FLAGS)
def test_a_convolution_is_that_of_plain_loops(flags: str, tmp_path: Path) -> None:
    _run("conv_u8", "alone.c", f"-O1 {flags}", tmp_path)


def test_bytes_are_added_without_floats_as_with_them(tmp_path: Path) -> None:
    _run("add_u8", "adding.c", "-O2", tmp_path)
