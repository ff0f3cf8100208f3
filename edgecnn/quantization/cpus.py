"""The CPUs that an int8 file may meet, and how each of them multiplies bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import InputError, UnavailableError
from edgecnn.machine import Machine, this_machine


@dataclass(frozen=True)
class Cpu:
    """A class of CPUs that ONNX Runtime gives the same integer kernels.

    Attributes:
        name: As `--cpu` takes it.
        aliases: Other names for it: products and cores that belong to it.
        title: Its name in words.
        products: `saturating` where two products of an unsigned and a signed byte are added in 16
            bits; `exact` where they are added in 32.
        fast: The scheme that its instructions multiply fastest.
        source: Where that knowledge is from.
        emulated: Its name for `qemu-x86_64-static -cpu`; empty where qemu has none.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    products: Literal["exact", "saturating"]
    fast: str
    source: str
    emulated: str = ""

    @property
    def exact(self) -> bool:
        """No product of bytes ever saturates on it."""
        return self.products == "exact"


Fleet = tuple[Cpu, ...]

# MLAS is the library of ONNX Runtime that holds its kernels; the files are in its sources.
_SSE = (
    "MLAS's kernel for SSE4.1 (qgemm_kernel_sse41.cpp) adds in 16 bits and is built for Windows "
    "alone; on Linux its exact one for SSE2 runs, as qemu shows. Not timed."
)
_NEON = "MLAS's NEON kernels take u8s8 and s8s8 alike. Not timed."

CPUS: Fleet = (
    Cpu(
        "nehalem",
        ("sse4", "westmere", "silvermont"),
        "x86-64 with SSE4",
        "saturating",
        "u8s8",
        _SSE,
        "Nehalem",
    ),
    Cpu(
        "avx",
        ("sandybridge", "ivybridge", "bulldozer"),
        "x86-64 with AVX",
        "saturating",
        "u8s8",
        _SSE,
        "SandyBridge",
    ),
    Cpu(
        "avx2",
        ("haswell", "broadwell", "skylake", "zen", "zen2", "zen3"),
        "x86-64 with AVX2 and no VNNI",
        "saturating",
        "u8s8",
        "MLAS multiplies u8s8 by vpmaddubsw (QgemmU8S8KernelAvx2.S); qemu's Haswell saturates.",
        "Haswell",
    ),
    Cpu(
        "avx512",
        ("skylake-server", "skylake-x"),
        "x86-64 with AVX-512 and no VNNI",
        "saturating",
        "u8s8",
        "MLAS multiplies u8s8 by vpmaddubsw (QgemmU8X8KernelAvx512Core.S). Not timed.",
    ),
    Cpu(
        "vnni",
        ("avx-vnni", "avx512-vnni", "cascadelake", "icelake", "alderlake", "zen4", "zen5"),
        "x86-64 with VNNI",
        "exact",
        "u8s8",
        "Timed on Intel and AMD: residual nets take 0.53 to 0.66 of fp32's time.",
    ),
    Cpu(
        "amx",
        ("sapphirerapids", "graniterapids"),
        "x86-64 with AMX",
        "exact",
        "u8s8",
        "MLAS gives its AMX kernel to u8s8 alone (platform.cpp). Timed together with VNNI.",
    ),
    Cpu(
        "arm64",
        ("cortex-a53", "cortex-a72", "raspberry-pi-4"),
        "64-bit Arm without dot product",
        "exact",
        "u8s8",
        _NEON,
    ),
    Cpu(
        "arm64-dot",
        ("cortex-a76", "raspberry-pi-5", "neoverse", "graviton2", "apple"),
        "64-bit Arm with dot product",
        "exact",
        "u8s8",
        _NEON,
    ),
)

# From the best to the least: the first whose feature a machine has is what it is.
_X86_64 = {
    "AMX-INT8": "amx",
    "AVX512-VNNI": "vnni",
    "AVX-VNNI": "vnni",
    "AVX-512": "avx512",
    "AVX2": "avx2",
    "AVX": "avx",
    "SSE4.2": "nehalem",
}
_ARM64 = {"NEON dot product": "arm64-dot"}


def find_cpu(name: str) -> Cpu:
    """Give a CPU by its name or one of its aliases, in any case.

    Raises:
        InputError: None is called so.
    """
    wanted = name.strip().lower().replace("_", "-")
    for cpu in CPUS:
        if wanted in (cpu.name, *cpu.aliases):
            return cpu
    raise InputError(
        f"No CPU is called '{name.strip()}'.",
        f"Use --cpu auto, any, or some of {','.join(cpu.name for cpu in CPUS)}.",
    )


def this_cpu(machine: Machine | None = None) -> Cpu:
    """Give what CPU a machine has.

    Args:
        machine: The machine; this one by default.

    Raises:
        UnavailableError: It cannot be told from what the system says.
    """
    machine = machine or this_machine()
    if machine.architecture.lower() in ("aarch64", "arm64"):
        names = [name for feature, name in _ARM64.items() if feature in machine.features]
        return find_cpu(names[0] if names else "arm64")
    if machine.architecture.lower() in ("x86_64", "amd64"):
        for feature, name in _X86_64.items():
            if feature in machine.features:
                return find_cpu(name)
    raise UnavailableError(
        f"This system does not say what its CPU ({machine.architecture}) can do.",
        "Name it, such as `--cpu avx2`, or use --cpu any.",
    )


def parse_cpus(text: str) -> Fleet:
    """Read a fleet of CPUs, each once and in the order in which they are named.

    Args:
        text: Names with commas between them; `auto` stands for this machine's CPU, `any` for all.

    Raises:
        InputError: A name is unknown, or there is none.
        UnavailableError: `auto` is among them, and this machine's CPU cannot be told.
    """
    found: dict[str, Cpu] = {}
    for name in filter(None, (part.strip() for part in text.split(","))):
        for cpu in _named(name):
            found[cpu.name] = cpu
    if not found:
        raise InputError("--cpu names no CPU.", "Use --cpu auto, any, or names such as avx2,arm64.")
    return tuple(found.values())


def names_of(cpus: Sequence[Cpu]) -> str:
    """Write CPUs as a sentence names them: `avx2, avx512 and vnni`."""
    *most, last = (cpu.name for cpu in cpus)
    return f"{', '.join(most)} and {last}" if most else last


def _named(name: str) -> Fleet:
    special = name.lower()
    if special == "any":
        return CPUS
    return (this_cpu() if special == "auto" else find_cpu(name),)
