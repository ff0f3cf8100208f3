"""NVIDIA's GPUs, their driver and libraries, as far as they can be seen without a framework."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

_NVIDIA, _DISPLAY = "0x10de", "0x03"
_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """A GPU that CUDA can use.

    Attributes:
        name: Its maker's name for it.
        memory_bytes: Its memory.
        compute_capability: Such as `8.6`.
    """

    name: str
    memory_bytes: int
    compute_capability: str


@dataclass(frozen=True)
class Nvidia:
    """What there is of NVIDIA in this computer.

    Attributes:
        gpus: The GPUs that CUDA can use, in CUDA's order.
        driver: Version of the kernel's driver; empty if unknown.
        cuda: The newest CUDA that the driver supports, such as `13.0`; empty without a driver.
        boards: NVIDIA boards on the PCI bus, with or without a driver.
        problem: Why no GPU can be used, as a clause; empty if one can.
    """

    gpus: tuple[Gpu, ...]
    driver: str
    cuda: str
    boards: int
    problem: str


@dataclass(frozen=True)
class Library:
    """A shared library: its name, where it lies, and its version (empty if unknown)."""

    name: str
    path: str
    version: str


def nvidia() -> Nvidia:
    """Look for NVIDIA's driver and GPUs."""
    version, boards = _driver_version(), _boards()
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Nvidia((), version, "", boards, "there is no driver (libcuda.so.1)")
    newest = _integer(cuda.cuDriverGetVersion)
    supported = f"{newest // 1000}.{newest % 1000 // 10}"
    status = cuda.cuInit(0)
    if status:
        return Nvidia((), version, supported, boards, f"the driver says {_text(cuda, status)}")
    gpus = tuple(_gpu(cuda, number) for number in range(_integer(cuda.cuDeviceGetCount)))
    return Nvidia(gpus, version, supported, boards, "" if gpus else "the driver shows none")


def find_library(pattern: str) -> Library | None:
    """Give the first of `find_libraries`, which is the one that a program should load."""
    return next(iter(find_libraries(pattern)), None)


def find_libraries(pattern: str) -> list[Library]:
    """List the shared libraries whose file name matches, such as `libcudnn.so.*`.

    NVIDIA's own Python packages come first, then LD_LIBRARY_PATH, then the linker's cache.
    """
    places = (*_packaged(pattern), *_on_library_path(pattern), *_in_cache(pattern))
    paths = dict.fromkeys(path for path in places if path.is_file())
    return [Library(path.name, str(path), _library_version(path)) for path in paths]


def loaded_libraries(pattern: str) -> list[Library]:
    """List the shared libraries that this process has loaded, by a regular expression.

    Args:
        pattern: What a library's path must hold somewhere.

    Returns:
        The libraries in the order of their paths; none where there is no /proc.
    """
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    mapped = {line.split(maxsplit=5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}
    paths = [Path(each) for each in sorted(mapped) if ".so" in each and re.search(pattern, each)]
    return [Library(path.name, str(path), _library_version(path)) for path in paths]


def _gpu(cuda: ctypes.CDLL, number: int) -> Gpu:
    name, memory = ctypes.create_string_buffer(128), ctypes.c_size_t()
    cuda.cuDeviceGetName(name, len(name), number)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), number)
    major = _integer(cuda.cuDeviceGetAttribute, _COMPUTE_MAJOR, number)
    minor = _integer(cuda.cuDeviceGetAttribute, _COMPUTE_MINOR, number)
    return Gpu(name.value.decode(), memory.value, f"{major}.{minor}")


def _integer(function: ctypes._NamedFuncPointer, *arguments: int) -> int:
    value = ctypes.c_int()
    function(ctypes.byref(value), *arguments)
    return value.value


def _text(cuda: ctypes.CDLL, status: int) -> str:
    text = ctypes.c_char_p()
    cuda.cuGetErrorString(status, ctypes.byref(text))
    return f"'{text.value.decode()}'" if text.value else f"error {status}"


def _driver_version() -> str:
    with suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text().strip()
    return ""


def _boards() -> int:
    def is_board(device: Path) -> bool:
        with suppress(OSError):
            vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
            return vendor.startswith(_NVIDIA) and kind.startswith(_DISPLAY)
        return False

    return sum(map(is_board, Path("/sys/bus/pci/devices").glob("*")))


def _packaged(pattern: str) -> Iterator[Path]:
    for folder in dict.fromkeys(sys.path):
        yield from sorted(Path(folder or ".").glob(f"nvidia/*/lib/{pattern}"))


def _on_library_path(pattern: str) -> Iterator[Path]:
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder:
            yield from sorted(Path(folder).glob(pattern))


def _in_cache(pattern: str) -> Iterator[Path]:
    for program in ("ldconfig", "/sbin/ldconfig"):
        with suppress(OSError):
            listing = subprocess.run([program, "-p"], capture_output=True, text=True, check=False)
            for name, path in re.findall(r"^\s*(\S+) .*=> (.+)$", listing.stdout, re.MULTILINE):
                if fnmatch(name, pattern):
                    yield Path(path)
            return


def _library_version(path: Path) -> str:
    if len(path.parents) > 3 and path.parents[2].name == "nvidia":
        for record in path.parents[3].glob("nvidia_*.dist-info/RECORD"):
            owned = f"\n{path.relative_to(path.parents[3]).as_posix()},"
            if owned in f"\n{record.read_text(encoding='utf-8')}":
                return record.parent.name.removesuffix(".dist-info").rpartition("-")[2]
    found = re.search(r"\.so\.(\d[\d.]*)$", path.resolve().name)
    return found[1] if found else ""
