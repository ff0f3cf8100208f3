"""Packages that only some commands need: which extra brings them, and keeping them quiet."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

from edgecnn.errors import UnavailableError

_EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "onnx": "onnx",
    "onnx_ir": "onnx",
    "onnxruntime": "cpu",
    "openvino": "openvino",
    "altair": "report",
    "jinja2": "report",
    "vl_convert": "report",
    "mlperf_loadgen": "mlperf",
}


def require(purpose: str, *modules: str) -> None:
    """Refuse to begin what packages are missing for.

    Args:
        purpose: What needs them, such as `edgecnn export`.
        modules: Names as they are imported; one that no extra brings is named as it is installed.

    Raises:
        UnavailableError: A package is not installed.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        extras = ",".join(sorted({_EXTRAS[module] for module in missing if module in _EXTRAS}))
        packages = [f"'edgecnn[{extras}]'"] if extras else []
        packages += [module for module in missing if module not in _EXTRAS]
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise UnavailableError(
            f"{purpose} needs {', '.join(missing)}, which {verb} not installed.",
            f"Install {them} with `pip install {' '.join(packages)}`.",
        )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what a package prints, warns and logs from the user; errors still come through.

    The exporter and the quantizer talk even when all is well.
    """
    level, handlers = logging.root.manager.disable, logging.root.handlers[:]
    logging.disable(logging.CRITICAL)
    nowhere = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        logging.root.handlers[:] = handlers  # logging.warning() adds one
