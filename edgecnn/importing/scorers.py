"""A net's answers to pixels under any input contract, before it has a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import ModelError
from edgecnn.feeding import normalise
from edgecnn.predictor import scores_output
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    from torch import nn

Pixels = NDArray[np.uint8]
Score = Callable[[InputContract, Pixels], NDArray[Any]]

_BYTES_AT_ONCE = 1 << 22


def torch_scorer(net: nn.Module) -> Score:
    """Give a function that runs a torch net on pixels, in eval mode.

    The function takes a contract and uint8 [N, height, width, channels], and gives the output that
    the contract names, or the first: [N, …].
    """
    import torch

    from edgecnn.nets.outputs import named_outputs

    first = next(iter(net.parameters()), torch.zeros(0))

    def score(contract: InputContract, images: Pixels) -> NDArray[Any]:
        parts, training = [], net.training
        net.eval()
        try:
            with torch.inference_mode():
                for batch in _batches(images, contract):
                    pictures = torch.from_numpy(normalise(contract, batch))
                    outputs = named_outputs(net(pictures.to(first)), contract)
                    chosen = outputs[scores_output(contract, list(outputs))]
                    parts.append(chosen.float().cpu().numpy())
        finally:
            net.train(training)
        return np.concatenate(parts)

    return score


def onnx_scorer(path: Path | str, *, runtime: str = "ort", threads: int | None = None) -> Score:
    """Open an ONNX file with one float image input, and give a function that runs it on pixels.

    Images go in one by one, unless the file's batch is another fixed number: whether an open batch
    answers as single images do is yet to be proved.

    Args:
        path: The file, as it came: without preprocessing.
        runtime: Name or path of the runtime.
        threads: Threads within an operator; by default the cores that this process may use.

    Returns:
        As `torch_scorer`.

    Raises:
        ModelError: The engine refuses the file.
        UnavailableError: The runtime is not to be had here.
    """
    from edgecnn.runtime import plain_file
    from edgecnn.worker import open_guarded

    session = open_guarded(plain_file(str(path)), runtime=runtime, threads=threads)
    spec, names = session.inputs[0], [spec.name for spec in session.outputs]
    axis = spec.shape[0]
    size = axis if isinstance(axis, int) and axis > 1 else 1

    def score(contract: InputContract, images: Pixels) -> NDArray[Any]:
        name, parts = scores_output(contract, names), []
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
            values = normalise(contract, padded).astype(spec.dtype, copy=False)
            parts.append(session.run({spec.name: values})[name][: len(batch)])
        return np.concatenate(parts)

    return score


def likeliest(scores: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Give the likeliest class of each image; -1 where a score is not finite.

    Args:
        scores: Float [N, at least `classes`]; further axes of size 1 are passed over.
        classes: How many classes the data has.

    Raises:
        ModelError: The scores have another shape.
    """
    rows = scores.reshape(scores.shape[:2]) if scores.size == np.prod(scores.shape[:2]) else scores
    if rows.ndim != 2 or rows.shape[1] < classes:
        raise ModelError(
            f"The net answers with the shape {list(scores.shape)}, which is no row of {classes} "
            "scores for each image.",
            "Name the output that holds them with --output-name, or say --output-kind other.",
        )
    finite = np.isfinite(rows).all(axis=1)
    return np.where(finite, np.nan_to_num(rows).argmax(axis=1), -1).astype(np.int64)


def _batches(images: Pixels, contract: InputContract) -> Iterator[Pixels]:
    height, width, channels = contract.pixel_shape
    size = max(1, _BYTES_AT_ONCE // (4 * height * width * channels))
    return (images[start : start + size] for start in range(0, len(images), size))
