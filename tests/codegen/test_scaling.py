"""Sums scaled with whole numbers alone: what float32 arithmetic gives, for millions of pairs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.compiled import KERNELS, WARNINGS
from tests.codegen.standalone import PROGRAMS

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)


@pytest.mark.parametrize("multiplication", ["wide", "narrow"])
def test_whole_numbers_scale_sums_as_floats_do(multiplication: str, tmp_path: Path) -> None:
    # As on a Cortex-M0, which multiplies to 32 bits only.
    narrow = ["-D__ARM_ARCH_6M__"] * (multiplication == "narrow")
    command = [
        "cc",
        "-std=c99",
        "-O2",
        *WARNINGS,
        *narrow,
        "-I",
        str(KERNELS),
        str(PROGRAMS / "scaling.c"),
        "-o",
        "main",
    ]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
    pairs, middles = map(int, ran.stdout.split())
    assert pairs > 5_000_000
    assert middles > 10_000
