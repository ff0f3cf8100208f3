"""Images for nets that come without any: drawn shapes, which prove a file and calibrate nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecnn.data import synthetic
from edgecnn.spec import InputContract

# Of no split of the drawn shapes: what was trained on those has not seen these.
_PART = 2


def stand_in_images(contract: InputContract, count: int) -> NDArray[np.uint8]:
    """Draw images that stand in for real ones; the same on every machine.

    Args:
        contract: Size and colour of the images.
        count: Number of images.

    Returns:
        uint8 [count, height, width, channels].
    """
    return np.ascontiguousarray(synthetic.render(contract, 0, part=_PART, count=count).images)
