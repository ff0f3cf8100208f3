"""Golden vectors of a PyTorch net: real images, or drawn ones that stand in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.data import Dataset, balanced, stand_in_images
from edgecnn.errors import DataError, ModelError
from edgecnn.exporting.exact import allowed_errors, exact_outputs
from edgecnn.golden import UNLABELLED, Golden, golden

if TYPE_CHECKING:
    from torch import nn

GOLDEN_IMAGES = 32


def golden_of(bundle: Bundle, net: nn.Module, data: Dataset | None) -> Golden:
    """Give a bundle's golden vectors, or make them.

    Args:
        bundle: The bundle.
        net: Its net, in eval mode.
        data: Where the images come from if there are no golden vectors yet; None for stand-ins.

    Raises:
        ModelError: The net does not give the golden outputs, or cannot compute them.
        DataError: The data has no test images.
    """
    contract = bundle.manifest.contract
    if GOLDEN in bundle.files:
        return _kept(bundle, net)
    if data is None:
        images = stand_in_images(contract, GOLDEN_IMAGES)
        labels = np.full(len(images), UNLABELLED, np.int64)
        return Golden(images, labels, exact_outputs(net, contract, images), stand_in=True)
    if not len(data.test):
        raise DataError(
            f"The test split of {data.source} is empty, so there are no golden images.",
            "Name other data with --data.",
        )
    chosen = data.test.take(balanced(data.test, GOLDEN_IMAGES))
    return Golden(chosen.images, chosen.labels, exact_outputs(net, contract, chosen.images))


def _kept(bundle: Bundle, net: nn.Module) -> Golden:
    contract, kept = bundle.manifest.contract, golden(bundle)
    exact = exact_outputs(net, contract, kept.images)
    allowed = allowed_errors(net, contract, kept.images, exact)
    if not _same(exact, kept.outputs, allowed):
        raise ModelError(
            f"The net no longer gives the golden outputs of {bundle.folder}.",
            "Something it imports has changed; make a new bundle with `edgecnn train --output` or "
            "`edgecnn import --output`.",
        )
    return kept


def _same(
    exact: dict[str, NDArray[np.float64]],
    before: dict[str, NDArray[np.float64]],
    allowed: dict[str, float],
) -> bool:
    return list(exact) == list(before) and all(
        exact[name].shape == before[name].shape
        and bool(np.abs(exact[name] - before[name]).max() <= allowed[name])
        for name in exact
    )
