"""How much each tensor's rounding hurts: one at a time against fp32, on real images.

`tensors` finds what int8 rounds and rounds one tensor alone, `ranking` measures and ranks, `timing`
puts each layer's time in both precisions beside it, `run` is `edgecnn sensitivity`.
"""

from edgecnn.quantization.sensitivity.ranking import Ranking, rank_effects
from edgecnn.quantization.sensitivity.report import (
    Effect,
    LayerTime,
    OperatorTime,
    SensitivityReport,
)
from edgecnn.quantization.sensitivity.run import sensitivity

__all__ = [
    "Effect",
    "LayerTime",
    "OperatorTime",
    "Ranking",
    "SensitivityReport",
    "rank_effects",
    "sensitivity",
]
