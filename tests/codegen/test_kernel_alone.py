"""A kernel needs no net: its file with what it includes, beside the same in the plainest C."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgecnn.codegen.kernels import Kernels
from tests.codegen.compiled import KERNELS, WARNINGS
from tests.codegen.standalone import PROGRAMS, needs

_GCC, _CLANG = {"gcc": "gcc"}, {"clang": "clang"}
_ARM = {"arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf"}
_FLAGS = {
    "plain C": "-DEDGECNN_NO_SIMD",
    "without floats": "-DEDGECNN_NO_FLOATS",
    "this CPU": "-march=native",
}


def _run(kernel: str, program: str, flags: str, folder: Path, compiler: str = "gcc") -> None:
    (folder / "kernel.h").write_text(Kernels(KERNELS).text([kernel]))
    command = [compiler, "-std=c99", *flags.split(), *WARNINGS, f"-I{folder}", "-o", "alone"]
    made = subprocess.run(
        [*command, str(PROGRAMS / program)], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([folder / "alone"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


@needs(_GCC)
@pytest.mark.parametrize("flags", _FLAGS.values(), ids=_FLAGS)
def test_a_convolution_is_that_of_plain_loops(flags: str, tmp_path: Path) -> None:
    _run("conv_u8", "alone.c", f"-O1 {flags}", tmp_path)


@needs(_GCC)
def test_bytes_are_added_without_floats_as_with_them(tmp_path: Path) -> None:
    _run("add_u8", "adding.c", "-O2", tmp_path)


@needs(_GCC | _CLANG)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("vectors", ["", "-DEDGECNN_NO_SIMD"])
def test_bytes_are_multiplied_before_the_zero_point_is_added(
    compiler: str, vectors: str, tmp_path: Path
) -> None:
    flags = f"-O3 -march=native -ffp-contract=fast {vectors}"
    _run("mul_u8", "multiplying.c", flags, tmp_path, compiler)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("gcc -DEDGECNN_NO_SIMD", marks=needs(_GCC)),
        pytest.param("arm-linux-gnueabihf-gcc -mfpu=neon", marks=needs(_ARM)),
    ],
)
def test_every_kernel_includes_what_it_needs(command: str) -> None:
    # A file is pasted once: inside a branch it would be missing from the others.
    kernels = Kernels(KERNELS)
    line = [*command.split(), "-std=c99", *WARNINGS, "-fsyntax-only", "-x", "c", "-"]
    assert len(kernels.names) > 50
    for name in sorted(kernels.names):
        assert kernels.kernel(name).fields
        done = subprocess.run(line, input=kernels.text([name]), capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stderr[:2000])
