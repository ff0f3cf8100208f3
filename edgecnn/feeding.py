"""Pictures to a session's input: files, Pillow images and arrays become batches of pixels.

Where a variant has no preprocessing inside, the pixels are normalised here, as the graph would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import InputError, ModelError
from edgecnn.graph.prefix import row_constants
from edgecnn.runtime import CheckedSession
from edgecnn.spec import InputContract, Variant

if TYPE_CHECKING:
    from PIL.Image import Image

    from edgecnn.worker import Opened

    Picture = NDArray[np.uint8] | Image | Path | str
    Pictures = Picture | Iterable[Picture]

Pixels = NDArray[np.uint8]


def feed(
    contract: InputContract, variant: Variant, session: CheckedSession | Opened, images: Pixels
) -> dict[str, NDArray[Any]]:
    """Make a session's input of raw images.

    Where the variant has its preprocessing inside, these are the images themselves; where not,
    they are normalised here in float32, in the same two steps as the graph would.

    Args:
        contract: How pictures become input.
        variant: What the session was opened on.
        session: The open session, here or in a worker.
        images: uint8 [N, height, width, channels]; N is the variant's batch where that is fixed.

    Returns:
        The input by its name: uint8 NHWC, or float in the contract's layout.

    Raises:
        ModelError: The model has not exactly one input.
    """
    if len(session.inputs) != 1:
        names = ", ".join(spec.name for spec in session.inputs)
        raise ModelError(
            f"{variant.path.name} has {len(session.inputs)} inputs ({names}), not one image.",
            "Compare it as a plain file instead.",
        )
    spec = session.inputs[0]
    if variant.preprocessing:
        return {spec.name: images}
    return {spec.name: normalise(contract, images).astype(spec.dtype, copy=False)}


def normalise(contract: InputContract, images: Pixels) -> NDArray[np.float32]:
    """Turn pixels into a model's float input, as the preprocessing in a graph does.

    Args:
        contract: Gives scale, mean and std.
        images: uint8 [N, height, width, channels].

    Returns:
        float32 [N, channels, height, width], or as the contract's layout says:
        `pixel * (scale / std) - mean / std`.
    """
    factor, offset = row_constants(contract)
    rows = images.reshape(len(images), contract.height, -1).astype(np.float32)
    values = (rows * factor - offset).reshape(images.shape)
    return in_layout(contract, values)


def in_layout(contract: InputContract, values: NDArray[Any]) -> NDArray[Any]:
    """Bring values [N, height, width, channels] into the contract's layout."""
    if contract.layout == "nhwc":
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def batches(images: Pictures, contract: InputContract, size: int) -> Iterator[Pixels]:
    """Turn images, however they come, into batches of pixels.

    Args:
        images: As in `Predictor.run`.
        contract: How pictures become input.
        size: Images in a batch; the last one may have fewer.

    Returns:
        uint8 [up to size, height, width, channels], each made when it is asked for.

    Raises:
        InputError: An image is not what the contract asks for.
    """
    if isinstance(images, np.ndarray) and images.ndim != 3:
        _check_pixels(images, contract, several=True)
        yield from (images[start : start + size] for start in range(0, len(images), size))
        return
    several = isinstance(images, Iterable) and not isinstance(images, (str, np.ndarray))
    items: Iterator[Any] = iter(images if several else [images])  # type: ignore[arg-type]
    while batch := [pixels(item, contract) for item in islice(items, size)]:
        yield np.stack(batch)


def pixels(picture: Picture, contract: InputContract) -> Pixels:
    """Turn one picture into uint8 [height, width, channels] of the contract's size and colour.

    Raises:
        InputError: It is no picture, or an array that does not fit the contract.
    """
    if isinstance(picture, np.ndarray):
        _check_pixels(picture, contract, several=False)
        return picture
    from edgecnn import images

    if isinstance(picture, str | Path):
        return images.decode(Path(picture), contract)
    if hasattr(picture, "convert"):
        return images.fit(picture, contract)
    raise InputError(
        f"A {type(picture).__name__} is no image.",
        "Give a uint8 array [height, width, channels], a PIL image or a path.",
    )


def _check_pixels(array: NDArray[Any], contract: InputContract, *, several: bool) -> None:
    height, width, channels = contract.pixel_shape
    if array.dtype != np.uint8:
        raise InputError(
            f"The images are {array.dtype}, but pixels are uint8 from 0 to 255.",
            "Give the raw pixels, not normalised: for floats from 0 to 1, "
            "`(images * 255).round().astype('uint8')`.",
        )
    found, wanted = list(array.shape), [height, width, channels]
    if found[several:] == wanted:
        return
    shape = f"[N, {height}, {width}, {channels}]" if several else str(wanted)
    raise InputError(
        f"The images have the shape {found}, but this model takes {shape}.",
        _shape_remedy(found[several:], wanted),
    )


def _shape_remedy(found: list[int], wanted: list[int]) -> str:
    if len(found) == 3 and [*found[1:], found[0]] == wanted:
        return "Put the channels last with `np.moveaxis(images, -3, -1)`."
    if found == wanted[:2] or found[:2] != wanted[:2]:
        return "Give PIL images or paths, which are converted and resized as the model needs."
    return f"Give {'RGB' if wanted[2] == 3 else 'grey'} images, or PIL images, which are converted."
