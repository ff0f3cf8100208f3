"""Training: a recipe and data become a bundle."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgecnn import extras
from edgecnn.training.report import TrainReport

if TYPE_CHECKING:
    from edgecnn.nets import rebuild
    from edgecnn.training.run import train

__all__ = ["TrainReport", "rebuild", "train"]

_PLACES = {"rebuild": "edgecnn.nets", "train": "edgecnn.training.run"}


def __getattr__(name: str) -> Any:
    # Its report is read where there is no torch; the rest cannot even be imported without it.
    if name not in _PLACES:
        raise AttributeError(f"module 'edgecnn.training' has no attribute '{name}'")
    extras.require("`edgecnn train`", "torch", "safetensors")
    return getattr(import_module(_PLACES[name]), name)
