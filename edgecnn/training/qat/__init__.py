"""Quantization-aware training: fine-tuning in the graph of the int8 file itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgecnn import extras
from edgecnn.training.qat.report import QatReport

if TYPE_CHECKING:
    from edgecnn.training.qat.adding import add_variant
    from edgecnn.training.qat.run import Qat, qat

__all__ = ["Qat", "QatReport", "add_variant", "qat"]

_PLACES = {"Qat": "run", "add_variant": "adding", "qat": "run"}


def __getattr__(name: str) -> Any:
    # Its report is read where there is no torch; the rest cannot even be imported without it.
    if name not in _PLACES:
        raise AttributeError(f"module 'edgecnn.training.qat' has no attribute '{name}'")
    extras.require("`edgecnn train --qat`", "torch", "onnx", "onnx_ir")
    return getattr(import_module(f"edgecnn.training.qat.{_PLACES[name]}"), name)
