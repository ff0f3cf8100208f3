"""One net on many cores, with many compilers: int8 to the bit, fp32 as near as floats are."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.codegen.compiled import WARNINGS
from tests.codegen.standalone import Standalone, needs, write_every_kind

_GCC, _CLANG = {"gcc": "gcc"}, {"clang": "clang"}
_GXX, _CLANGXX = {"g++": "g++"}, {"clang++": "clang"}
_X86 = _GCC | {"qemu-x86_64-static": "qemu-user-static"}
_AARCH64 = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "qemu-aarch64-static": "qemu-user-static",
}
_ARM = {
    "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf",
    "qemu-arm-static": "qemu-user-static",
}
_RISCV = {
    "riscv64-linux-gnu-gcc": "gcc-riscv64-linux-gnu",
    "qemu-riscv64-static": "qemu-user-static",
}


@dataclass(frozen=True)
class Port:
    """A compiler, what it compiles for, and what runs it.

    Attributes:
        packages: Of Debian, by the program that comes with it; the compiler first.
        flags: For the compiler.
        emulator: What runs the program; nothing, if this machine does.
    """

    packages: Mapping[str, str]
    flags: str
    emulator: tuple[str, ...] = ()
    standard: str = field(default="-std=c99")

    @property
    def command(self) -> list[str]:
        """The compiler with its flags."""
        return [next(iter(self.packages)), *self.standard.split(), *self.flags.split()]


def _natives() -> dict[str, Port]:
    ports = {}
    for packages, standard in (
        (_GCC, "-std=c99"),
        (_CLANG, "-std=c99"),
        (_GXX, "-x c++ -std=c++17"),
        (_CLANGXX, "-x c++ -std=c++17"),
    ):
        for flags in ("-O0", "-O2", "-O3 -march=native"):
            ports[f"{next(iter(packages))} {flags}"] = Port(packages, flags, standard=standard)
    return ports


_QEMU_X86 = "qemu-x86_64-static"
_PORTS = _natives() | {
    # Gnu's C contracts a product and a sum by default, and clang obeys this flag before pragmas.
    "gcc gnu11": Port(_GCC, "-O3 -march=native", standard="-std=gnu11"),
    "gcc contracts": Port(_GCC, "-O3 -march=native -ffp-contract=fast"),
    "clang contracts": Port(_CLANG, "-O3 -march=native -ffp-contract=fast"),
    "without floats": Port(_GCC, "-O2 -DEDGECNN_NO_FLOATS"),
    "without vectors": Port(_CLANG, "-O2 -march=native -DEDGECNN_NO_SIMD"),
    "haswell": Port(_X86, "-O2 -static -march=haswell", (_QEMU_X86, "-cpu", "Haswell")),
    "nehalem": Port(_X86, "-O2 -static -march=nehalem", (_QEMU_X86, "-cpu", "Nehalem")),
    "aarch64": Port(_AARCH64, "-O2 -static", ("qemu-aarch64-static", "-cpu", "cortex-a53")),
    "aarch64 dotprod": Port(
        _AARCH64,
        "-O2 -static -march=armv8.2-a+dotprod",
        ("qemu-aarch64-static", "-cpu", "cortex-a76"),
    ),
    "aarch64 i8mm": Port(
        _AARCH64,
        "-O2 -static -march=armv8.2-a+dotprod+i8mm",
        ("qemu-aarch64-static", "-cpu", "max"),
    ),
    "armv7 neon": Port(_ARM, "-O2 -static -mfpu=neon", ("qemu-arm-static", "-cpu", "cortex-a9")),
    "armv7 neon with fma": Port(
        _ARM, "-O3 -static -mfpu=neon-vfpv4", ("qemu-arm-static", "-cpu", "cortex-a15")
    ),
    "armv7 without neon": Port(
        _ARM, "-O2 -static -mfpu=vfpv3-d16", ("qemu-arm-static", "-cpu", "cortex-a9")
    ),
    "riscv64": Port(_RISCV, "-O2 -static", ("qemu-riscv64-static",)),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Standalone:
    """A net of every kind of layer."""
    return write_every_kind(tmp_path_factory.mktemp("ports"))


@pytest.mark.parametrize(
    "port",
    [pytest.param(port, id=name, marks=needs(port.packages)) for name, port in _PORTS.items()],
)
def test_answers_are_those_of_onnx_runtime(port: Port, program: Standalone, tmp_path: Path) -> None:
    program.check(port.command, tmp_path / "net", port.emulator)


@needs({"arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi"})
@pytest.mark.parametrize("core", ["m0", "m3", "m4", "m55 -mfloat-abi=hard"])
def test_cortex_m_compiles_without_a_warning(core: str, program: Standalone) -> None:
    # The answers on these cores are what tests/boards is about.
    flags = f"-mthumb -mcpu=cortex-{core} -std=c99 -O2 -c -o /dev/null".split()
    command = ["arm-none-eabi-gcc", *flags, *WARNINGS, str(program.folder / "net.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
