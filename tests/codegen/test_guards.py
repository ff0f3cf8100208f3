"""Flags that would change answers are refused, and nothing is read or written out of bounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.codegen.compiled import KERNELS
from tests.codegen.standalone import PROGRAMS, Standalone, needs, write_every_kind

_GCC, _GXX, _CLANG = {"gcc": "gcc"}, {"g++": "g++"}, {"clang": "clang"}
_REFUSED = [
    ("gcc", "-ffast-math"),
    ("gcc", "-Ofast"),
    ("gcc", "-funsafe-math-optimizations"),
    ("gcc", "-freciprocal-math"),
    ("clang", "-ffast-math"),
    ("clang", "-Ofast"),
]
_SANITIZERS = "-g -fsanitize=address,undefined -fno-sanitize-recover=all"


def _said(compiler: str, flag: str) -> tuple[int, str]:
    command = [compiler, flag, "-std=c99", "-fsyntax-only", str(KERNELS / "parts" / "common.h")]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(("compiler", "flag"), _REFUSED)
@needs(_GCC | _CLANG)
def test_flags_that_change_answers_are_refused(compiler: str, flag: str) -> None:
    code, said = _said(compiler, flag)
    assert code != 0
    assert "Compile this file without -ffast-math" in said


@needs(_GCC)
def test_floats_wider_than_floats_are_refused() -> None:
    wide = subprocess.run(
        ["gcc", "-dM", "-E", "-mfpmath=387", "-x", "c", "/dev/null"], capture_output=True, text=True
    )
    if "__FLT_EVAL_METHOD__ 2" not in wide.stdout:
        pytest.skip("This CPU has no floats of 80 bits: only x86 has them.")
    code, said = _said("gcc", "-mfpmath=387")
    assert code != 0
    assert "-msse2 -mfpmath=sse" in said


_PLAIN = "-DSUM=a*b+c"


@pytest.mark.parametrize(
    "command",
    [
        f"gcc -std=c99 -ffp-contract=fast {_PLAIN}",
        f"gcc -std=gnu11 {_PLAIN}",
        f"g++ -x c++ -std=c++17 {_PLAIN}",
        f"clang -std=c99 {_PLAIN}",
        f"clang++ -x c++ -std=c++17 {_PLAIN}",
        # Here clang does not heed what the file says, and the sum must be written so.
        "clang -std=c99 -ffp-contract=fast -DSUM=product(a,b)+c",
    ],
)
@needs(_GCC | _CLANG | _GXX)
def test_a_product_and_a_sum_round_twice(command: str, tmp_path: Path) -> None:
    line = [*command.split(), "-O3", "-march=native", f"-I{KERNELS}", "-o", str(tmp_path / "made")]
    made = subprocess.run([*line, str(PROGRAMS / "contraction.c")], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert subprocess.run([tmp_path / "made"]).returncode == 0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Standalone:
    """A net of every kind of layer."""
    return write_every_kind(tmp_path_factory.mktemp("guards"))


@pytest.mark.parametrize("core", ["-march=native", "-DEDGECNN_NO_FLOATS"])
# Clang takes a minute for this at -O1.
@pytest.mark.parametrize("compiler", ["gcc -O1", "clang -O0"])
@needs(_GCC | _CLANG)
def test_sanitizers_find_nothing(
    compiler: str, core: str, program: Standalone, tmp_path: Path
) -> None:
    command = [*compiler.split(), "-std=c99", *_SANITIZERS.split(), core]
    program.check(command, tmp_path / "net")


@needs(_GCC)
def test_an_unknown_compiler_takes_plain_c(program: Standalone, tmp_path: Path) -> None:
    # What it says of itself is taken back; the system's own headers would not bear it in main.
    commands = [
        ["-U__GNUC__", "-O1", "-w", "-c", "-o", "net.o", str(program.folder / "net.c")],
        ["net.o", str(PROGRAMS / "golden.c"), f"-I{program.folder}", "-o", "net"],
    ]
    for command in commands:
        subprocess.run(["gcc", "-std=c99", *command], cwd=tmp_path, check=True)
    ran = subprocess.run([tmp_path / "net"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
