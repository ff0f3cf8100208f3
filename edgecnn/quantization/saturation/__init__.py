"""What saturates where a CPU adds two 8-bit products in 16 bits: an exact model, and its replay.

`pairs` is the instruction, `reading` finds the operators that use it in what ONNX Runtime runs,
`computing` runs one of them, `replaying` a whole model, and `auditing` says what comes of it.
"""

from edgecnn.quantization.saturation.auditing import (
    AUDIT_IMAGES,
    audit,
    here_saturates,
    images_for,
    statement,
)
from edgecnn.quantization.saturation.replaying import Player, Replay
from edgecnn.quantization.saturation.report import SaturatedLayer, SaturationReport

__all__ = [
    "AUDIT_IMAGES",
    "Player",
    "Replay",
    "SaturatedLayer",
    "SaturationReport",
    "audit",
    "here_saturates",
    "images_for",
    "statement",
]
