"""ResNet-8, the image-classification net of MLPerf Tiny: 77,946 learned parameters.

A 3x3 convolution, three residual stacks of 16, 32 and 64 channels (the last two halve the
picture), average pooling over what is left, one fully connected layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Stack(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them.

    The shortcut is a bare 1x1 convolution where the size changes, as MLPerf Tiny has it.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the convolutions find to what came in."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class Net(nn.Module):
    """ResNet-8: [N, channels, height, width] floats in, [N, classes] logits out.

    Args:
        num_classes: Classes to tell apart.
        in_channels: 3 for colour, 1 for grey.
        width: Factor on the channels of the stacks (16, 32, 64).
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        small, medium, large = (max(1, round(width * count)) for count in (16, 32, 64))
        self.conv1 = _conv3x3(in_channels, small, 1)
        self.bn1 = nn.BatchNorm2d(small)
        self.stack1 = Stack(small, small, 1)
        self.stack2 = Stack(small, medium, 2)
        self.stack3 = Stack(medium, large, 2)
        self.fc = nn.Linear(large, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.stack3(self.stack2(self.stack1(x)))
        x = functional.avg_pool2d(x, x.shape[-2:])
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits


def _conv3x3(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    # No bias: batch norm follows and would subtract it.
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
