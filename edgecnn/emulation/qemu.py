"""How a process is started on an emulated CPU."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass, field

from edgecnn.errors import InputError, UnavailableError
from edgecnn.quantization.cpus import CPUS, Cpu, find_cpu

_INSTALL = "Install it with `sudo apt-get install qemu-user-static`."
_USE = f"Use {', '.join(cpu.emulated.lower() for cpu in CPUS if cpu.emulated)}"
# What systems call the architecture; Linux has the first name for it, macOS the second.
_ARM64 = ("aarch64", "arm64")
# OpenBLAS obeys these before it looks at the CPU, and NumPy dies of an illegal instruction.
_FOR_THIS_CPU = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Emulator:
    """What starts a process on an emulated CPU.

    Attributes:
        cpu: The class of CPUs that it stands for.
        launcher: Words in front of a command line.
        environment: The process's environment variables.
    """

    cpu: Cpu
    launcher: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)


def emulator_for(name: str) -> Emulator:
    """Find what emulates a CPU here.

    Args:
        name: As `edgecnn.quantization.cpus.find_cpu` takes it, such as `haswell`.

    Raises:
        InputError: No CPU is called so, or qemu has none of its class.
        UnavailableError: qemu is missing, or this Python is made for another kind of CPU.
    """
    cpu = _find(name)
    if cpu.name.startswith("arm64"):
        _refuse_arm64(name)
    if not cpu.emulated:
        raise InputError(
            f"qemu cannot be a CPU such as '{name}' ({cpu.title}).",
            f"{_USE}, or copy the bundle to such a machine and use `edgecnn verify`.",
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise UnavailableError(
            f"'{name}' is emulated on Linux on x86_64 only, with the Python that runs there; this "
            f"is {platform.system()} on {platform.machine()}.",
            "Copy the bundle to such a machine and type the command there.",
        )
    program = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if program is None:
        raise UnavailableError(f"'{name}' is emulated by qemu-x86_64, which is missing.", _INSTALL)
    return Emulator(cpu, (program, "-cpu", cpu.emulated), _environment())


def _find(name: str) -> Cpu:
    try:
        return find_cpu("arm64" if name.lower() in _ARM64 else name)
    except InputError as error:
        raise InputError(error.problem, f"{_USE}.") from None


def _refuse_arm64(name: str) -> None:
    if platform.machine() in _ARM64:
        raise InputError(
            f"This machine is a 64-bit Arm itself, as '{name}' is.", "Use `edgecnn verify`."
        )
    raise UnavailableError(
        f"'{name}' cannot be emulated with this Python: it is made for {platform.machine()}, and "
        "a 64-bit Arm needs a Python and an onnxruntime of its own.",
        "Copy the bundle to such a machine, or into a container for it "
        "(`docker run --platform linux/arm64`), and use `edgecnn verify` there.",
    )


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in _FOR_THIS_CPU}
    return kept | {"ORT_DISABLE_TELEMETRY": "1"}
