"""OpenVINO itself: importing it without its telemetry, and which devices it finds."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from edgecnn.runtime import Availability, Requirement

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}

_TELEMETRY = "openvino_telemetry"
_DRIVERS = {
    "gpu": "Install the driver of an Intel GPU (OpenCL)",
    "npu": "Install the driver of an Intel NPU",
}


def engine() -> ModuleType | None:
    """Import OpenVINO; None if it is not installed.

    Its import writes into `~/intel` and sends an event, unless its telemetry package is missing:
    for that it has a stand-in of its own, which does nothing.
    """
    if find_spec("openvino") is None:
        return None
    hidden = not {"openvino", _TELEMETRY} & sys.modules.keys()
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]


def read_onnx(path: str) -> Any:
    """Read an ONNX file as a graph of OpenVINO's.

    `Core.read_model` has every reader try the file, and some of them print what they think of it.

    Raises:
        Exception: One of OpenVINO's own: it is no such file, or an operator is unknown.
    """
    reader = import_module("openvino.frontend").FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(path))


def availability(provider: str) -> Availability:
    """Say whether OpenVINO is installed and finds this device."""
    module = engine()
    if module is None:
        return Availability(
            ok=False,
            reason="OpenVINO is not installed.",
            remedy="Install it with `pip install 'edgecnn[openvino]'`.",
        )
    versions = {"openvino": module.__version__.partition("-")[0]}
    if provider not in DEVICES:
        return Availability(
            ok=False,
            reason=f"The runtime 'openvino' has no provider '{provider}'; it has "
            f"{', '.join(DEVICES)}.",
            remedy="Use `--provider cpu`.",
            versions=versions,
        )
    # The CPU needs no look, which would load what drives all other devices.
    if provider == "cpu":
        return Availability(ok=True, versions=versions)
    return _device(module, provider, versions)


@cache
def _found(module: ModuleType) -> tuple[str, ...]:
    return tuple(module.Core().available_devices)


def _device(module: ModuleType, provider: str, versions: dict[str, str]) -> Availability:
    devices = _found(module)
    ok = any(each.partition(".")[0] == DEVICES[provider] for each in devices)
    need = Requirement(f"OpenVINO's {DEVICES[provider]}", "a device", ", ".join(devices), ok)
    if ok:
        return Availability(ok=True, versions=versions, requirements=(need,))
    return Availability(
        ok=False,
        reason=f"OpenVINO finds no {DEVICES[provider]} here, only {', '.join(devices)}.",
        remedy=f"{_DRIVERS[provider]}, or use `--provider cpu`.",
        requirements=(need,),
        versions=versions,
    )
