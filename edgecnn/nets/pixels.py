"""A bundle's net as it is deployed: uint8 pixels in, its outputs by name and in order."""

from __future__ import annotations

import torch
from torch import nn

from edgecnn.bundle import Bundle
from edgecnn.graph.prefix import PIXELS
from edgecnn.nets.outputs import named_outputs
from edgecnn.nets.rebuilding import rebuild
from edgecnn.spec import InputContract


class PixelNet(nn.Module):
    """A net with its preprocessing in front, as converters that start from PyTorch take it.

    Args:
        net: The net, in eval mode.
        contract: How pictures become its input.

    Attributes:
        input_name: What its input is called: `pixels`.
        output_names: What its outputs are called, in their order.
        pixel_shape: Shape of one image: (height, width, channels).
    """

    factor: torch.Tensor
    offset: torch.Tensor

    def __init__(self, net: nn.Module, contract: InputContract) -> None:
        super().__init__()
        self.net = net
        self.input_name = PIXELS
        self.pixel_shape = contract.pixel_shape
        self._contract = contract
        std = torch.tensor(contract.std, dtype=torch.float64)
        mean = torch.tensor(contract.mean, dtype=torch.float64)
        self.register_buffer("factor", (contract.scale / std).float())
        self.register_buffer("offset", (mean / std).float())
        self.eval()
        with torch.no_grad():
            self.output_names = tuple(named_outputs(self._answer(self.example(1)), contract))

    def example(self, batch: int) -> torch.Tensor:
        """Give black images, uint8 [batch, height, width, channels]."""
        return torch.zeros((batch, *self.pixel_shape), dtype=torch.uint8)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute the outputs for uint8 pixels [N, height, width, channels]."""
        return tuple(named_outputs(self._answer(pixels), self._contract).values())

    def _answer(self, pixels: torch.Tensor) -> object:
        image = pixels.to(torch.float32) * self.factor - self.offset
        return self.net(image.permute(0, 3, 1, 2) if self._contract.layout == "nchw" else image)


def pixel_net(bundle: Bundle) -> PixelNet:
    """Make a bundle's net again, with its trained weights and its preprocessing in front.

    Raises:
        ModelError: The bundle has no PyTorch model, or it cannot be made again.
        BundleError: The weights are missing or damaged.
    """
    return PixelNet(rebuild(bundle), bundle.manifest.contract)
