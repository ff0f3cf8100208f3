"""LeNet as PyTorch's tutorial "Training a classifier" defines it: 62,006 parameters.

Convolution, pooling, convolution, pooling, three fully connected layers; the keys of its state
dict (conv1 to fc3) are the tutorial's own. By default it is exactly that net; its size, depth and
pooling are arguments.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_CHANNELS = (6, 16, 32, 64)


class Net(nn.Module):
    """LeNet: [N, channels, height, width] floats in, [N, classes] logits out.

    Args:
        num_classes: Classes to tell apart.
        in_channels: 3 for colour, 1 for grey.
        input_height: Rows of the input, in pixels.
        input_width: Columns of the input, in pixels.
        filter_size: Side of the convolutions' filters, in pixels.
        width: Factor on the channels of the convolutions (6, 16, 32, 64).
        depth: Convolutions, each followed by 2x2 pooling: 1 to 4.
        pooling: `max` or `avg`.

    Raises:
        ValueError: An argument is out of range, or the input too small for the depth.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        input_height: int = 32,
        input_width: int = 32,
        filter_size: int = 5,
        width: float = 1.0,
        depth: int = 2,
        pooling: str = "max",
    ) -> None:
        super().__init__()
        if pooling not in ("max", "avg"):
            raise ValueError(f"pooling is 'max' or 'avg', not '{pooling}'")
        if not 1 <= depth <= len(_CHANNELS):
            raise ValueError(f"depth is 1 to {len(_CHANNELS)}, not {depth}")
        self.depth = depth
        self.pool = nn.MaxPool2d(2, 2) if pooling == "max" else nn.AvgPool2d(2, 2)
        channels = [in_channels, *(max(1, round(width * count)) for count in _CHANNELS[:depth])]
        for number in range(depth):
            convolution = nn.Conv2d(channels[number], channels[number + 1], filter_size)
            setattr(self, f"conv{number + 1}", convolution)
        rows = _size_after(input_height, filter_size, depth)
        columns = _size_after(input_width, filter_size, depth)
        if rows < 1 or columns < 1:
            raise ValueError(
                f"{depth} convolutions of {filter_size}x{filter_size} with pooling leave nothing "
                f"of {input_height}x{input_width} pixels"
            )
        self.fc1 = nn.Linear(channels[-1] * rows * columns, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        for number in range(self.depth):
            convolution = getattr(self, f"conv{number + 1}")
            x = self.pool(functional.relu(convolution(x)))
        x = torch.flatten(x, 1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        logits: torch.Tensor = self.fc3(x)
        return logits


def _size_after(size: int, filter_size: int, depth: int) -> int:
    for _ in range(depth):
        size = (size - filter_size + 1) // 2
    return size
