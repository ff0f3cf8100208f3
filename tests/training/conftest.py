"""Pictures small enough to train on in a moment, and a net and a recipe that are a user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.golden import make_npz

LABELS = ("dark", "grey", "light")

NET = '''"""A user's own net."""
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, width=4, in_channels=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x))).mean((2, 3))
        return self.fc(self.drop(x))
'''

RECIPE = """
title = "three shades"
data = "{data}"
[model]
source = "{net}"
[input]
height = 8
width = 8
mean = [0.5, 0.4, 0.3]
std = [0.3, 0.3, 0.3]
[train]
epochs = 4
batch_size = 16
learning_rate = 0.05
flip = true
shift = 1
holdout = 20
ema = 0.9
channels_last = true
[accuracy]
shades = 0.5
"""

MakeRecipe = Callable[..., str]


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an .npz file of noisy pictures in three shades: 240 to train, 60 to test."""
    random = np.random.default_rng(5)
    arrays: dict[str, Any] = {"labels": np.array(LABELS)}
    for split, count in (("train", 240), ("test", 60)):
        labels = np.arange(count) % 3
        pixels = 70 + 60 * labels[:, None, None, None] + random.normal(0, 25, (count, 8, 8, 3))
        arrays[f"x_{split}"] = np.clip(pixels, 0, 255).astype(np.uint8)
        arrays[f"y_{split}"] = labels.astype(np.int64)
    path = tmp_path_factory.mktemp("data") / "shades.npz"
    path.write_bytes(make_npz(arrays))
    return path


@pytest.fixture
def make_recipe(shades: Path, tmp_path: Path) -> MakeRecipe:
    """Give a function that writes a recipe and its net, with some words changed."""

    def make(**changes: str) -> str:
        net = tmp_path / "my_net.py"
        net.write_text(NET)
        text = RECIPE.format(data=shades, net=net)
        lines = [line for line in text.splitlines() if line.split(" = ")[0] not in changes]
        at = lines.index("[train]") + 1
        lines[at:at] = [f"{name} = {value}" for name, value in changes.items()]
        path = tmp_path / "mine.toml"
        path.write_text("\n".join(lines))
        return str(path)

    return make
