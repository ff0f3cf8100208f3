"""What is done to the weights and biases of a quantized core to make up for rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgecnn.quantization.corrections.bias import correct_biases
from edgecnn.quantization.corrections.gptq import round_by_covariance

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

# Each takes the quantized core, the prepared float core, the contract and the calibration images,
# and gives a quantized core with the same nodes.
Correction = Callable[
    ["ir.Model", "ir.Model", "InputContract", "NDArray[np.uint8]"],
    "ir.Model",
]
CORRECTIONS: dict[str, Correction] = {
    "gptq": round_by_covariance,
    "bias": correct_biases,
}
