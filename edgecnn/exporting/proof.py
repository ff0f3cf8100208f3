"""Proof that an exported file computes what torch does, before it gets its name."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgecnn.agreement import derived_atol
from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.exporting.report import Proof
from edgecnn.predictor import Predictor, normalise
from edgecnn.runtime import open_session
from edgecnn.spec import InputContract, Variant

BATCHES = (1, 2, 3, 7)
_IMAGES_AT_ONCE = 8


def exact_outputs(
    net: nn.Module, contract: InputContract, images: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Compute a net's outputs in float64 throughout, the preprocessing included.

    Args:
        net: The net, in eval mode; it is left as it is.
        contract: Scale, mean and std.
        images: uint8 [N, height, width, channels].

    Returns:
        float64 [N, ...].

    Raises:
        ModelError: The net cannot compute in float64, or answers NaN or infinity.
    """
    pixels = (images * contract.scale - np.array(contract.mean)) / np.array(contract.std)
    outputs = _forward(copy.deepcopy(net).double(), pixels.transpose(0, 3, 1, 2))
    if not np.isfinite(outputs).all():
        raise ModelError(
            "The net answers NaN or infinity to real images.",
            "Train it again with `edgecnn train`.",
        )
    return outputs


def allowed_error(
    net: nn.Module,
    contract: InputContract,
    images: NDArray[np.uint8],
    exact: NDArray[np.float64],
) -> float:
    """Give how far a correct float32 file may lie from float64: 16 times what torch errs by."""
    return derived_atol(_forward(net, normalise(contract, images)), exact)


def prove(
    variant: Variant,
    contract: InputContract,
    images: NDArray[np.uint8],
    exact: NDArray[np.float64],
    allowed: float,
) -> tuple[Proof, NDArray[np.float32]]:
    """Run a located variant at several batch sizes and hold it against float64.

    Args:
        variant: The file, preprocessing inside or not; an open batch is run at 1, 2, 3 and 7.
        contract: How pictures become input.
        images: uint8 [N, height, width, channels].
        exact: float64 [N, ...], what torch answers.
        allowed: Largest absolute error allowed.

    Returns:
        The proof, and the outputs at the first batch size.

    Raises:
        ModelError: ONNX Runtime refuses the file, or it answers something else.
    """
    batches = BATCHES if variant.batch == "dynamic" else (variant.batch,)
    with open_session(variant, provider="cpu") as session:
        found = [
            _outputs(Predictor(contract, variant, session, batch), images, exact, allowed)
            for batch in batches
        ]
    largest = max(float(np.abs(outputs - exact).max()) for outputs in found)
    atol = max(derived_atol(outputs, exact) for outputs in found)
    return Proof(len(images), tuple(batches), largest, allowed, atol), found[0]


def _outputs(
    predictor: Predictor,
    images: NDArray[np.uint8],
    exact: NDArray[np.float64],
    allowed: float,
) -> NDArray[np.float32]:
    batch = predictor.batch_size
    try:
        outputs: NDArray[np.float32] = predictor.run(images)
    except EdgeCNNError as error:
        raise _wrong(batch, error.problem.rstrip(".")) from error
    if outputs.shape != exact.shape:
        raise _wrong(batch, f"its output has the shape {outputs.shape[1:]}, not {exact.shape[1:]}")
    largest = np.abs(outputs - exact).max()
    if not largest <= allowed:
        raise _wrong(batch, f"its outputs differ by {largest:.3g}, and {allowed:.3g} is allowed")
    return outputs


def _wrong(batch: int, why: str) -> ModelError:
    return ModelError(
        f"The exported file does not compute what torch does at batch {batch}: {why}.",
        "Nothing was written; keep the batch as the first axis throughout forward(), or fix it "
        "with --batch-size 1.",
    )


def _forward(net: nn.Module, values: NDArray[Any]) -> NDArray[Any]:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    parts = torch.split(tensor, _IMAGES_AT_ONCE)
    try:
        with torch.no_grad():
            found = [net(part) for part in parts]
            outputs: NDArray[Any] = torch.cat(found).numpy()
    except (RuntimeError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ModelError(
            f"The net cannot compute real images in {values.dtype}: {reason}.",
            "Let its forward() take the dtype of its input, and return one tensor.",
        ) from error
    return outputs
