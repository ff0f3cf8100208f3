"""A net as it is deployed: the same pixels give what the contract's own preprocessing gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecnn.predictor import normalise
from edgecnn.spec import InputContract

torch = pytest.importorskip("torch")
nets = pytest.importorskip("edgecnn.nets")

GRAY = InputContract(6, 5, color="gray", mean=(0.4,), std=(0.3,), output_kind="probabilities")
COLOR = InputContract(6, 5, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), scale=1 / 127)
LAST = InputContract(6, 5, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), layout="nhwc")


@pytest.mark.parametrize(
    ("contract", "name"), [(GRAY, "probabilities"), (COLOR, "logits"), (LAST, "logits")]
)
def test_preprocessing_in_front(contract: InputContract, name: str) -> None:
    seen: list[Any] = []

    class Remembering(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, image: Any) -> Any:
            seen.append(image)
            return image.flatten(1)

    net = nets.PixelNet(Remembering(), contract)
    images = np.random.default_rng(0).integers(0, 256, (3, *contract.pixel_shape), np.uint8)
    (answer,) = net(torch.from_numpy(images))
    np.testing.assert_allclose(seen[-1].numpy(), normalise(contract, images), rtol=1e-5, atol=1e-6)
    assert (net.input_name, net.output_names) == ("pixels", (name,))
    assert answer.shape == (3, images[0].size)
    assert net.example(4).shape == (4, *contract.pixel_shape)
    assert not net.training
