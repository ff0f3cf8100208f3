"""Numbers that C has no literal for, and that no trained net should hold: NaN and infinity."""

from __future__ import annotations

from edgecnn.codegen.program import Layer, Program
from edgecnn.errors import ModelError


def refuse_not_finite(program: Program) -> None:
    """Refuse a net with weights or scales that are not finite.

    Raises:
        ModelError: A layer has such a number.
    """
    for layer in program.layers:
        if not _finite(layer):
            raise ModelError(
                f"C cannot be made of '{layer.name}', whose weights or scales hold NaN, infinity, "
                "or numbers so large that they become it.",
                "Train or quantize the net anew, or use a runtime such as ONNX Runtime.",
            )


def _finite(layer: Layer) -> bool:
    import numpy as np

    with np.errstate(over="ignore"):
        numbers = np.array(list(layer.shape.values()), np.float64).astype(np.float32)
    return all(np.isfinite(each).all() for each in (*layer.constants, numbers))
