"""MobileNetV2 (Sandler et al., 2018) made small for 32x32 pictures: inverted residual blocks.

A 3x3 convolution that halves the picture, blocks that widen, filter each channel by itself and
narrow again, a 1x1 convolution, average pooling over what is left, one fully connected layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# By how much a block widens, the channels that come out of it, its stride.
BLOCKS = ((1, 24, 1), (4, 40, 2), (4, 40, 1), (4, 64, 2), (4, 64, 1), (4, 64, 1))


class InvertedResidual(nn.Module):
    """A 1x1 convolution that widens, a 3x3 one of each channel, a 1x1 one that narrows.

    What comes out is not rectified; a shortcut goes around the block where the size stays.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.widens = expansion > 1
        if self.widens:
            self.expand = nn.Conv2d(in_channels, wide, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(wide)
        self.filter = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.project = nn.Conv2d(wide, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.same = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Widen, filter, narrow; add what came in where the size is the same."""
        y: torch.Tensor = functional.relu6(self.bn1(self.expand(x))) if self.widens else x
        y = functional.relu6(self.bn2(self.filter(y)))
        y = self.bn3(self.project(y))
        return x + y if self.same else y


class Net(nn.Module):
    """A small MobileNetV2: [N, channels, height, width] floats in, [N, classes] logits out.

    Args:
        num_classes: Classes to tell apart.
        in_channels: 3 for colour, 1 for grey.
        width: Factor on all channels.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        first, last = (max(1, round(width * count)) for count in (24, 256))
        self.conv1 = nn.Conv2d(in_channels, first, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        blocks, channels = [], first
        for expansion, count, stride in BLOCKS:
            out = max(1, round(width * count))
            blocks.append(InvertedResidual(channels, out, stride, expansion))
            channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = nn.Conv2d(channels, last, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(last)
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        x = functional.relu6(self.bn1(self.conv1(x)))
        x = functional.relu6(self.bn2(self.conv2(self.blocks(x))))
        x = functional.avg_pool2d(x, x.shape[-2:])
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits
