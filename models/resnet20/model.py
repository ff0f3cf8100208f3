"""ResNet-20 for 32x32 pictures: 272,474 learned parameters.

K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition (CVPR 2016), section
4.2: 6n + 2 layers with n = 3. A 3x3 convolution, three stages of three residual blocks with 16, 32
and 64 channels (the last two stages halve the picture), average pooling over what is left, one
fully connected layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

BLOCKS = 3  # in each stage; two convolutions in each block


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them.

    Where the size changes, the shortcut is a 1x1 convolution with batch norm: the paper's option B.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, out_channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv(out_channels, out_channels, 3, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                _conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the convolutions find to what came in."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class Net(nn.Module):
    """ResNet-20: [N, channels, height, width] floats in, [N, classes] logits out.

    Args:
        num_classes: Classes to tell apart.
        in_channels: 3 for colour, 1 for grey.
        width: Factor on the channels of the stages (16, 32, 64).
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        small, medium, large = (max(1, round(width * count)) for count in (16, 32, 64))
        self.conv1 = _conv(in_channels, small, 3, 1)
        self.bn1 = nn.BatchNorm2d(small)
        self.stage1 = _stage(small, small, 1)
        self.stage2 = _stage(small, medium, 2)
        self.stage3 = _stage(medium, large, 2)
        self.fc = nn.Linear(large, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        x = functional.avg_pool2d(x, x.shape[-2:])
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits


def _stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    later = [Block(out_channels, out_channels, 1) for _ in range(BLOCKS - 1)]
    return nn.Sequential(Block(in_channels, out_channels, stride), *later)


def _conv(in_channels: int, out_channels: int, size: int, stride: int) -> nn.Conv2d:
    # No bias: batch norm follows and would subtract it.
    return nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=False)
