"""Bundles of small nets that were not trained: export asks for weights, not for good ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import bundle as bundles
from edgecnn.bundle import WEIGHTS, Bundle, ModelRef, open_bundle
from edgecnn.data import Dataset, Split
from edgecnn.records import file_sha256
from edgecnn.shelves import load_file
from edgecnn.spec import InputContract

LABELS = ("circle", "cross", "square", "star")
CONTRACT = InputContract(8, 8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), labels=LABELS)

# A net's source with a forward() to fill in; `x` is what the last layer is given.
NET = '''"""A net of a user's own."""
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        {forward}
'''
PLAIN = "return self.fc(x.mean((2, 3)))"

MakeNet = Callable[..., Bundle]


@pytest.fixture(scope="session")
def pictures() -> Dataset:
    """Give 60 pictures to train on and 40 to test with: smooth ones, or they would be noise."""
    random = np.random.default_rng(11)
    height, width, channels = CONTRACT.pixel_shape
    slopes = random.uniform(-20, 20, (100, 1, 1, channels, 2))
    down, across = np.mgrid[:height, :width]
    planes = slopes[..., 0] * down[..., None] + slopes[..., 1] * across[..., None]
    noise = random.integers(-60, 61, (100, height, width, channels))
    images = np.clip(128 + planes + noise, 0, 255).astype(np.uint8)
    labels = np.arange(100) % len(LABELS)
    train, test = Split(images[:60], labels[:60]), Split(images[60:], labels[60:])
    return Dataset("noise", "/nowhere/noise.npz", LABELS, train, test)


@pytest.fixture
def make_net(tmp_path: Path, pictures: Dataset) -> MakeNet:
    """Give a function that makes a bundle of a net with some forward().

    `change` is given the state dict before it is written; without `data` the bundle has none of
    its own.
    """

    def make(
        forward: str = PLAIN,
        *,
        change: Callable[[Any], None] | None = None,
        data: bool = True,
        contract: InputContract = CONTRACT,
    ) -> Bundle:
        return _make(tmp_path, pictures if data else None, forward, change, contract)

    return make


@pytest.fixture(scope="session")
def exported_once(tmp_path_factory: pytest.TempPathFactory, pictures: Dataset) -> Path:
    """Give the folder of a bundle that was exported; it is copied and not changed."""
    from edgecnn.exporting import export

    bundle = _make(tmp_path_factory.mktemp("exported"), pictures, PLAIN, None)
    export(bundle, data=pictures)
    return bundle.folder


@pytest.fixture
def exported(exported_once: Path, tmp_path: Path) -> Bundle:
    """Give a bundle with fp32 and golden vectors, so that another export needs no data."""
    return open_bundle(shutil.copytree(exported_once, tmp_path / "exported"))


def _make(
    folder: Path,
    pictures: Dataset | None,
    forward: str,
    change: Callable[[Any], None] | None,
    contract: InputContract = CONTRACT,
) -> Bundle:
    import torch
    from safetensors.torch import save

    source = folder / "source" / "my_net.py"
    source.parent.mkdir()
    source.write_text(NET.format(forward=forward))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        state = load_file(source).Net().state_dict()
        state["bn.running_var"].uniform_(0.5, 2.0)
    if change:
        change(state)
    manifest = bundles.new_manifest(
        "net",
        contract,
        model=ModelRef(f"{source}:Net", {}, file_sha256(source)),
        data=pictures.reference() if pictures else None,
        environment={},
    )
    return bundles.create(folder / "net", manifest, {WEIGHTS: save(state)})


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file of a bundle that is not a report, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
