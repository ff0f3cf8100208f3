"""Proof that an exported file computes what the net does, before it gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.agreement import derived_atol
from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.exporting.report import OutputProof, Proof
from edgecnn.predictor import Predictor
from edgecnn.runtime import open_session
from edgecnn.spec import InputContract, Variant

BATCHES = (1, 2, 3, 7)

Exact = Mapping[str, NDArray[np.float64]]


def prove(
    variant: Variant,
    contract: InputContract,
    images: NDArray[np.uint8],
    exact: Exact,
    allowed: Mapping[str, float],
    *,
    original: str = "torch",
) -> tuple[Proof, dict[str, NDArray[Any]]]:
    """Run a located variant at several batch sizes and hold it against float64.

    Args:
        variant: The file, preprocessing inside or not; an open batch is run at 1, 2, 3 and 7.
        contract: How pictures become input.
        images: uint8 [N, height, width, channels].
        exact: What every output should be, float64 [N, ...].
        allowed: Largest absolute error allowed of each output.
        original: What computed `exact`, for people.

    Returns:
        The proof, and the outputs at the first batch size.

    Raises:
        ModelError: ONNX Runtime refuses the file, or it answers something else.
    """
    batches = BATCHES if variant.batch == "dynamic" else (variant.batch,)
    with open_session(variant, provider="cpu") as session:
        found = []
        for batch in batches:
            try:
                outputs = Predictor(contract, variant, session, batch).run_all(images)
                _hold(outputs, exact, allowed)
            except EdgeCNNError as error:
                raise _wrong(original, batch, error.problem.rstrip(".")) from error
            found.append(outputs)
    proofs = {
        name: OutputProof(
            max(float(np.abs(outputs[name] - exact[name]).max()) for outputs in found),
            allowed[name],
            max(derived_atol(outputs[name], exact[name]) for outputs in found),
        )
        for name in exact
    }
    return Proof(len(images), tuple(batches), proofs), found[0]


def _hold(outputs: Mapping[str, NDArray[Any]], exact: Exact, allowed: Mapping[str, float]) -> None:
    if list(outputs) != list(exact):
        raise ModelError(f"it has the outputs {', '.join(outputs)}, not {', '.join(exact)}")
    for name, output in outputs.items():
        which = "its output" if len(exact) == 1 else f"its output '{name}'"
        if output.shape != exact[name].shape:
            shapes = f"{output.shape[1:]}, not {exact[name].shape[1:]}"
            raise ModelError(f"{which} has the shape {shapes}")
        largest = np.abs(output - exact[name]).max()
        if not largest <= allowed[name]:
            raise ModelError(
                f"{which} differs by {largest:.3g}, and {allowed[name]:.3g} is allowed"
            )


def _wrong(original: str, batch: int, why: str) -> ModelError:
    return ModelError(
        f"The exported file does not compute what {original} does at batch {batch}: {why}.",
        "Nothing was written; keep the batch as the first axis throughout forward(), or fix it "
        "with --batch-size 1.",
    )
