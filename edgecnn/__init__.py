"""edgecnn: train a small CNN, export it to ONNX, prove the export, and run it on the edge.

Every command is a function of the same name here; each is imported when it is first used, so that
`import edgecnn` stays light and brings no torch to a device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgecnn.agreement import parity
    from edgecnn.agreement.layers import parity_layers
    from edgecnn.benchmark import bench
    from edgecnn.converting import convert
    from edgecnn.evaluation import evaluate
    from edgecnn.exporting import export
    from edgecnn.importing import import_model
    from edgecnn.inspection import inspect
    from edgecnn.prediction import predict
    from edgecnn.predictor import Predictor, load
    from edgecnn.profiling import profile
    from edgecnn.quantization import quantize
    from edgecnn.quantization.sensitivity import sensitivity
    from edgecnn.reporting import report
    from edgecnn.training import train
    from edgecnn.tuning import tune
    from edgecnn.verification import verify

__all__ = [
    "Predictor",
    "__version__",
    "bench",
    "convert",
    "evaluate",
    "export",
    "import_model",
    "inspect",
    "load",
    "parity",
    "parity_layers",
    "predict",
    "profile",
    "quantize",
    "report",
    "sensitivity",
    "train",
    "tune",
    "verify",
]

_PLACES = {
    "Predictor": "edgecnn.predictor",
    "bench": "edgecnn.benchmark",
    "convert": "edgecnn.converting",
    "evaluate": "edgecnn.evaluation",
    "export": "edgecnn.exporting",
    "import_model": "edgecnn.importing",
    "inspect": "edgecnn.inspection",
    "load": "edgecnn.predictor",
    "parity": "edgecnn.agreement",
    "parity_layers": "edgecnn.agreement.layers",
    "predict": "edgecnn.prediction",
    "profile": "edgecnn.profiling",
    "quantize": "edgecnn.quantization",
    "report": "edgecnn.reporting",
    "sensitivity": "edgecnn.quantization.sensitivity",
    "train": "edgecnn.training",
    "tune": "edgecnn.tuning",
    "verify": "edgecnn.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'edgecnn' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
