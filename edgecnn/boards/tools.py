"""The compiler for microcontrollers, and their emulator."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from edgecnn.errors import UnavailableError

_GCC, _QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
_PACKAGES = {_GCC: "gcc-arm-none-eabi libnewlib-arm-none-eabi", _QEMU: "qemu-system-arm"}
_SECONDS = 30


@dataclass(frozen=True)
class Tools:
    """Programs that are here.

    Attributes:
        compiler: Path of arm-none-eabi-gcc.
        size: Path of arm-none-eabi-size, which comes with it.
        emulator: Path of qemu-system-arm.
        versions: What the compiler and the emulator say of themselves, by their names.
    """

    compiler: str
    size: str
    emulator: str
    versions: dict[str, str]


def find_tools() -> Tools:
    """Find them.

    Raises:
        UnavailableError: One is missing, or the C library that belongs to the compiler is.
    """
    compiler, emulator = shutil.which(_GCC), shutil.which(_QEMU)
    size = shutil.which("arm-none-eabi-size")
    missing = [name for name, path in ((_GCC, compiler), (_QEMU, emulator)) if path is None]
    if missing:
        raise _missing(missing)
    assert compiler is not None
    assert emulator is not None
    if size is None or not _has_library(compiler):
        raise _missing([_GCC])
    versions = {_GCC: _first_line(compiler), _QEMU: _first_line(emulator)}
    return Tools(compiler, size, emulator, versions)


def _missing(programs: list[str]) -> UnavailableError:
    packages = " ".join(_PACKAGES[name] for name in programs)
    are = "are" if len(programs) > 1 else "is"
    return UnavailableError(
        f"{' and '.join(programs)} {are} missing, or not whole: without, there is no board.",
        f"Install what is needed: `sudo apt-get install {packages}`.",
    )


def _has_library(compiler: str) -> bool:
    """Say whether the compiler finds its memcpy; its answer is a path if it does."""
    return "/" in _first_line(compiler, "-print-file-name=libc.a")


def _first_line(program: str, flag: str = "--version") -> str:
    try:
        said = subprocess.run([program, flag], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (said.stdout.splitlines() or [""])[0].strip()
