"""What a GPU provider of ONNX Runtime needs, read from the wheel itself, against what is here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path

from edgecnn.errors import Requirement
from edgecnn.runtime import gpu

from .elf import needed_libraries

GPU_PROVIDERS = ("cuda", "tensorrt")
_DRIVER = "libcuda.so.1"
_GROUPS = {
    "CUDA": "lib(cu(?!dnn)|nv(?!infer|onnx))",
    "cuDNN": "libcudnn",
    "TensorRT": "libnv(infer|onnx)",
}


def requirements(
    provider: str, engine: Path | None, wheels: dict[str, str], have: list[str]
) -> tuple[Requirement, ...]:
    """List what a GPU provider needs.

    Args:
        provider: `cuda` or `tensorrt`.
        engine: The folder of the installed engine's libraries; None if there is none.
        wheels: The installed wheels and their versions.
        have: The providers that the installed engine was built with.
    """
    names = libraries(provider, engine, wheels)
    found = _libraries(names) if provider in have else [_any_cuda()]
    return (_wheel(provider, wheels, have), *_device(_major(names)), *found)


def libraries(provider: str, engine: Path | None, wheels: dict[str, str]) -> list[str]:
    """Name NVIDIA's libraries that a provider loads, in the order in which it asks for them."""
    file = engine / f"libonnxruntime_providers_{provider}.so" if engine else None
    if file is None or not file.is_file():
        return []
    names = [name for name in needed_libraries(file) if re.match("lib(cu|nv)", name)]
    # From 1.31 on cuDNN is opened when it is first used, and only an extra of the wheel names it.
    if not any(name.startswith("libcudnn") for name in names):
        names += _cudnn_of_extra(wheels)
    return [name for name in names if name != _DRIVER]


def _cudnn_of_extra(wheels: dict[str, str]) -> list[str]:
    lines = "\n".join(line for wheel in wheels for line in requires(wheel) or ())
    found = re.search(r"nvidia-cudnn-cu\d+\s*[~=>]=\s*(\d+)", lines)
    return [f"libcudnn.so.{found[1]}"] if found else []


def _major(names: list[str]) -> int | None:
    found = re.search(r"libcudart\.so\.(\d+)", " ".join(names))
    return int(found[1]) if found else None


def _wheel(provider: str, wheels: dict[str, str], have: list[str]) -> Requirement:
    found = ", ".join(f"{name} {number}" for name, number in wheels.items()) or "none"
    if wheels and provider not in have:
        found += f" (has {', '.join(have)})"
    name = f"ONNX Runtime with {provider}"
    return Requirement(name, "onnxruntime-gpu", found, provider in have)


def _device(major: int | None) -> Iterator[Requirement]:
    found = gpu.nvidia()
    cards = ", ".join(f"{card.name} ({card.memory_bytes / 1e9:.0f} GB)" for card in found.gpus)
    yield Requirement("NVIDIA GPU", "any", cards or f"none: {found.problem}", bool(found.gpus))
    driver = f"{found.driver} (up to CUDA {found.cuda})".strip() if found.cuda else "none"
    new_enough = bool(found.cuda) and float(found.cuda) >= (major or 0)
    needed = f"for CUDA {major}" if major else "as the wheel says"
    yield Requirement("NVIDIA driver", needed, driver, new_enough)


def _libraries(names: list[str]) -> Iterator[Requirement]:
    for group, pattern in _GROUPS.items():
        members = [name for name in names if re.match(pattern, name)]
        if members:
            yield _group(group, members)


def _group(group: str, members: list[str]) -> Requirement:
    speaker = next((name for name in members if "cudart" in name), members[0])
    needed = speaker.rpartition(".")[2]
    found = {name: gpu.find_library(name) for name in members}
    missing = [name for name, library in found.items() if library is None]
    if missing:
        return Requirement(group, needed, f"no {', '.join(missing)}", ok=False)
    return Requirement(group, needed, _versions(filter(None, [found[speaker]])), ok=True)


def _any_cuda() -> Requirement:
    found = [gpu.find_library(pattern) for pattern in ("libcudart.so.*", "libcudnn.so.*")]
    text = _versions(filter(None, found)) or "none"
    return Requirement("CUDA and cuDNN", "as the wheel says", text, all(found))


def _versions(found: Iterable[gpu.Library]) -> str:
    return ", ".join(f"{library.version} ({library.name})" for library in found)
