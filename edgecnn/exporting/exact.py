"""What a PyTorch net truly answers: its outputs in float64, and what float32 costs them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgecnn.agreement import derived_atol
from edgecnn.errors import ModelError
from edgecnn.nets.outputs import named_outputs
from edgecnn.predictor import in_layout, normalise
from edgecnn.spec import InputContract

_IMAGES_AT_ONCE = 8


def exact_outputs(
    net: nn.Module, contract: InputContract, images: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Compute a net's outputs in float64 throughout, the preprocessing included.

    Args:
        net: The net, in eval mode; it is left as it is.
        contract: Scale, mean, std and layout.
        images: uint8 [N, height, width, channels].

    Returns:
        Every output by its name, float64 [N, ...].

    Raises:
        ModelError: The net cannot compute in float64, or answers NaN or infinity.
    """
    values = (images * contract.scale - np.array(contract.mean)) / np.array(contract.std)
    answers = _forward(copy.deepcopy(net).double(), contract, in_layout(contract, values))
    outputs = {name: answer.astype(np.float64) for name, answer in answers.items()}
    broken = [name for name, output in outputs.items() if not np.isfinite(output).all()]
    if broken:
        which = "" if len(outputs) == 1 else f" in {', '.join(broken)}"
        raise ModelError(
            f"The net answers NaN or infinity{which} to the golden images.",
            "Check its weights, and scale, mean and std; or train it again.",
        )
    return outputs


def allowed_errors(
    net: nn.Module,
    contract: InputContract,
    images: NDArray[np.uint8],
    exact: Mapping[str, NDArray[np.float64]],
) -> dict[str, float]:
    """Give how far a correct float32 file may lie from float64: 16 times what torch errs by."""
    rounded = _forward(net, contract, normalise(contract, images))
    return {name: derived_atol(rounded[name], exact[name]) for name in exact}


def _forward(
    net: nn.Module, contract: InputContract, values: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    parts = torch.split(torch.from_numpy(np.ascontiguousarray(values)), _IMAGES_AT_ONCE)
    try:
        with torch.no_grad():
            found = [named_outputs(net(part), contract) for part in parts]
    except (RuntimeError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ModelError(
            f"The net cannot compute real images in {values.dtype}: {reason}.",
            "Let its forward() take the dtype of its input.",
        ) from error
    for part, outputs in zip(parts, found, strict=True):
        for name, output in outputs.items():
            if output.shape[:1] != part.shape[:1]:
                raise ModelError(
                    f"The net's output '{name}' has the shape {list(output.shape)} for "
                    f"{len(part)} images.",
                    "Keep the batch as the first axis of every output.",
                )
    return {name: torch.cat([outputs[name] for outputs in found]).numpy() for name in found[0]}
