"""A batch of any size, where that can be proved; else the one that the file was written for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgecnn.errors import EdgeCNNError, ModelError
from edgecnn.graph.batch import open_batch, with_batch
from edgecnn.graph.clean import BATCH, clean, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.importing.proof import Batch, Draft, Outputs, Truth, prove, tells_images_apart
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    import onnx_ir as ir

BATCHES = (1, 2, 3, 7)
_UNSEEN = (
    "its answers hardly depend on these images, so that a wrong one would not be noticed; pictures "
    "that it is made for, named with --data, may prove more"
)


@dataclass(frozen=True)
class Settled:
    """A file that is proved.

    Attributes:
        draft: The file and its batch.
        batches: The batch sizes at which it was run.
        outputs: What it answers at the first of them.
        allowed: 16 times the largest error of each output at any of them.
        notes: What became of its batch.
    """

    draft: Draft
    batches: tuple[int, ...]
    outputs: Outputs
    allowed: dict[str, float]
    notes: tuple[str, ...]


def make_draft(
    core: ir.Model, contract: InputContract, batch: Batch, precision: Literal["fp32", "int8"]
) -> Draft:
    """Put the preprocessing in front of a core."""
    content = to_bytes(clean(put_preprocessing_in_front(core, contract)))
    return Draft(content, batch, precision)


def settle_batch(core: ir.Model, declared: int | None, small: Draft, truth: Truth) -> Settled:
    """Open a net's batch where the result is proved, image by image, at 1, 2, 3 and 7.

    Args:
        core: The net with the fixed batch of `small`.
        declared: The batch that the file declares; None where it is open.
        small: The net with its preprocessing and a fixed batch, which is what remains.
        truth: What it answers to its images.

    Returns:
        The file with an open batch; else `small`, and why.

    Raises:
        ModelError: Its batch is fixed at several images, and they have a part in one another's
            answers.
    """
    kept, open_already = small.batch, declared is None
    if not tells_images_apart(truth):
        return _kept(small, truth, _UNSEEN)
    candidates = [(open_batch(core), True)]
    if open_already:
        candidates.insert(0, (with_batch(core, BATCH), False))
    reasons = []
    for candidate, rewritten in candidates:
        draft = make_draft(candidate, truth.contract, "dynamic", small.precision)
        try:
            outputs, allowed = prove(draft, truth, BATCHES)
        except EdgeCNNError as error:
            reasons.append(error.problem)
            continue
        notes = _opened(open_already, kept, rewritten=rewritten)
        return Settled(draft, BATCHES, outputs, allowed, notes)
    why = reasons[-1].partition(", at batch ")[2].rstrip(".") or reasons[-1].rstrip(".")
    return _kept(small, truth, f"opened, it does not compute what the file does at batch {why}")


def _refuse_mixed(small: Draft, truth: Truth, batch: int) -> None:
    """Refuse a net whose answer to an image changes with the others in its batch."""
    images = np.roll(truth.images, 1, axis=0)
    exact = {name: np.roll(value, 1, axis=0) for name, value in truth.exact.items()}
    try:
        prove(small, replace(truth, images=images, exact=exact), (batch,))
    except ModelError as error:
        raise ModelError(
            f"What the file answers to an image depends on the others in its batch of {batch}: no "
            "answer is the image's own.",
            "Export it for inference, with batch 1.",
        ) from error


def _opened(open_already: bool, size: Batch, *, rewritten: bool) -> tuple[str, ...]:
    if open_already and not rewritten:
        return ()
    before = "was open in name only" if open_already else f"was fixed at {size}"
    return (
        f"The batch {before}; it is open now, proved image by image at "
        f"{', '.join(map(str, BATCHES))}.",
    )


def _kept(small: Draft, truth: Truth, why: str) -> Settled:
    assert small.batch != "dynamic"
    if small.batch > 1:
        _refuse_mixed(small, truth, small.batch)
    outputs, allowed = prove(small, truth, (small.batch,))
    return Settled(
        small,
        (small.batch,),
        outputs,
        allowed,
        (f"The batch stays {small.batch}, and more images are run in a loop: {why}.",),
    )
