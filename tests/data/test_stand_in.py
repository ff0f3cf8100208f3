"""Images that stand in for real ones."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.data import stand_in_images
from edgecnn.data.synthetic import render
from edgecnn.spec import Color, InputContract


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_they_have_the_form_that_the_contract_asks_for(color: Color) -> None:
    channels = 1 if color == "gray" else 3
    contract = InputContract(8, 12, color, mean=(0.0,) * channels, std=(1.0,) * channels)
    images = stand_in_images(contract, 5)
    assert (images.dtype, images.shape) == (np.dtype("uint8"), (5, 8, 12, channels))
    assert images.flags.c_contiguous
    assert len({image.tobytes() for image in images}) == 5


def test_they_are_always_the_same_and_of_no_split_that_is_trained_on() -> None:
    contract = InputContract(8, 8)
    images = stand_in_images(contract, 20)
    np.testing.assert_array_equal(images, stand_in_images(contract, 20))
    for part in (0, 1):
        drawn = {image.tobytes() for image in render(contract, 0, part=part, count=20).images}
        assert not drawn & {image.tobytes() for image in images}
