"""Which ONNX Runtime is installed, and whether it can run on a provider here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

from edgecnn.errors import Requirement
from edgecnn.runtime import Availability

from .needs import GPU_PROVIDERS, libraries, requirements
from .providers import SYSTEMS, UNPUBLISHED, WHEELS, providers

_PACKAGE = "onnxruntime"
# Each of these installs that package, over whatever another one put there.
_BRINGERS = (
    _PACKAGE,
    "onnxruntime-cann",
    "onnxruntime-directml",
    "onnxruntime-gpu",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-training",
    "onnxruntime-webgpu",
)
SILENT = 4


def engine() -> ModuleType | None:
    """Import ONNX Runtime; None if it is absent or broken."""
    first = "onnxruntime" not in sys.modules
    if first:
        # From 1.29 on an import starts a telemetry thread unless this is set before it.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        return None
    if not hasattr(onnxruntime, "InferenceSession"):
        return None
    if first:
        # What it prints on stderr it also raises, and an error is one sentence here.
        onnxruntime.set_default_logger_severity(SILENT)
    return onnxruntime  # type: ignore[no-any-return]


def installed() -> dict[str, str]:
    """Give the installed wheels that bring ONNX Runtime, and their versions."""
    found = {}
    for wheel in _BRINGERS:
        try:
            record = distribution(wheel)
        except PackageNotFoundError:
            continue
        packages = (record.read_text("top_level.txt") or _PACKAGE).split()
        if _PACKAGE in packages:  # a plug-in is a package of its own
            found[wheel] = record.version
    return found


def provider_libraries(module: ModuleType, provider: str) -> list[str]:
    """Name NVIDIA's libraries that a provider of the installed wheel loads."""
    return libraries(provider, _folder(module), installed())


def availability(provider: str) -> Availability:
    """Say whether the installed wheel has a provider, and whether what that needs is here."""
    wheels = installed()
    if len(wheels) > 1:
        return _too_many(wheels, provider)
    module = engine()
    if wheels and module is None:
        return _broken(wheels)
    have = sorted(providers(module)) if module else []
    if provider in GPU_PROVIDERS:
        return _on_gpu(provider, requirements(provider, _folder(module), wheels, have), wheels)
    if module is None:
        return _no("ONNX Runtime is not installed.", f"Install it with {_install('cpu')}.", wheels)
    if provider not in have:
        return _not_in_this_wheel(provider, have, wheels)
    return Availability(ok=True, versions=wheels)


def _not_in_this_wheel(provider: str, have: list[str], wheels: dict[str, str]) -> Availability:
    here = f"{_listed(wheels)} has no provider '{provider}'; it has {', '.join(have)}."
    if provider in UNPUBLISHED:
        reason, remedy = "No published wheel has it", "build ONNX Runtime with it from its source"
    elif provider in WHEELS:
        wheel = WHEELS[provider]
        platform, system = SYSTEMS.get(provider, (sys.platform, ""))
        reason = f"The wheel '{wheel}' has it" + (f", on {system} alone" if system else "")
        remedy = f"install that with `pip uninstall -y {' '.join(wheels)} && pip install '{wheel}'`"
        if platform != sys.platform:
            remedy = f"run it on {system}, with `pip install '{wheel}'`"
    else:
        reason, remedy = "ONNX Runtime knows none of that name", "see `edgecnn doctor`"
    return _no(f"{here} {reason}.", f"Use `--provider cpu`, or {remedy}.", wheels)


def _on_gpu(provider: str, needs: tuple[Requirement, ...], wheels: dict[str, str]) -> Availability:
    missing = [need.name for need in needs if not need.ok]
    if not missing:
        return Availability(ok=True, requirements=needs, versions=wheels)
    return Availability(
        ok=False,
        reason=f"ONNX Runtime cannot run on '{provider}' here; missing: {', '.join(missing)}.",
        remedy=_gpu_remedy(missing, wheels),
        requirements=needs,
        versions=wheels,
    )


def _gpu_remedy(missing: list[str], wheels: dict[str, str]) -> str:
    commands = " and ".join(_commands(set(missing), wheels))
    if "NVIDIA GPU" in missing:
        there = f", after {commands}" if commands else ""
        return (
            "Use `--provider cpu` here, or run it on a machine with an NVIDIA GPU and its "
            f"driver{there}."
        )
    return f"Install what is missing: {commands}."


def _commands(missing: set[str], wheels: dict[str, str]) -> Iterator[str]:
    if "NVIDIA driver" in missing and "NVIDIA GPU" not in missing:
        yield "a newer driver from https://www.nvidia.com/drivers"
    if missing - {"NVIDIA GPU", "NVIDIA driver", "TensorRT"}:
        yield _install("cuda", uninstall="" if "onnxruntime-gpu" in wheels else " ".join(wheels))
    if "TensorRT" in missing:
        yield "`pip install tensorrt`, its folder put on LD_LIBRARY_PATH"


def _too_many(wheels: dict[str, str], provider: str) -> Availability:
    extra = "cuda" if provider in GPU_PROVIDERS else "cpu"
    return _no(
        f"{_listed(wheels)} are installed together, and each overwrites files of the other.",
        f"Repair it with {_install(extra, uninstall=' '.join(wheels))}.",
        wheels,
    )


def _broken(wheels: dict[str, str]) -> Availability:
    extra = "cuda" if "onnxruntime-gpu" in wheels else "cpu"
    return _no(
        f"{_listed(wheels)} is installed, but cannot be imported{_import_problem()}.",
        f"Repair it with {_install(extra, uninstall=' '.join(wheels))}.",
        wheels,
    )


def _import_problem() -> str:
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        return f": {str(error).partition(chr(10))[0].rstrip('.')}"
    return ""


def _no(reason: str, remedy: str, wheels: dict[str, str]) -> Availability:
    return Availability(ok=False, reason=reason, remedy=remedy, versions=wheels)


def _install(extra: str, *, uninstall: str = "") -> str:
    first = f"pip uninstall -y {uninstall} && " if uninstall else ""
    return f"`{first}pip install 'edgecnn[{extra}]'`"


def _listed(wheels: dict[str, str]) -> str:
    return " and ".join(f"{name} {number}" for name, number in wheels.items())


def _folder(module: ModuleType | None) -> Path | None:
    return Path(str(module.__file__)).parent / "capi" if module else None
