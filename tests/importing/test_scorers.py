from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from edgecnn.errors import ModelError
from edgecnn.importing.scorers import likeliest, onnx_scorer, torch_scorer
from edgecnn.spec import InputContract
from tests.conftest import CONTRACT, TinyNet

OTHER = replace(CONTRACT, scale=1 / 128, mean=(0.1, 0.2, 0.3))


def as_torch(net: TinyNet) -> nn.Module:
    conv, linear = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)
    conv.weight.data, conv.bias = torch.from_numpy(net.filters), None
    linear.weight.data, linear.bias.data = map(torch.from_numpy, (net.matrix, net.bias))
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


@pytest.mark.parametrize("batch", ["N", 1, 7])
def test_an_onnx_file_answers_as_the_textbook_does(
    batch: int | str, tiny_net: TinyNet, tmp_path: Path
) -> None:
    path = tmp_path / "core.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False, batch=batch))
    score = onnx_scorer(path, threads=1)
    images = tiny_net.images[:24]
    np.testing.assert_allclose(score(CONTRACT, images), tiny_net.exact(images), atol=1e-4)
    assert not np.allclose(score(OTHER, images), tiny_net.exact(images), atol=1e-2)


def test_torch_and_onnx_agree_under_any_contract(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "core.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False))
    here, there = torch_scorer(as_torch(tiny_net)), onnx_scorer(path, threads=1)
    for contract in (CONTRACT, OTHER, replace(CONTRACT, scale=1.0)):
        images = tiny_net.images[:20]
        found = here(contract, images)
        np.testing.assert_allclose(found, there(contract, images), rtol=1e-4, atol=1e-4)


def test_the_contracts_output_is_taken_and_the_net_left_as_it_was() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            means = self.drop(x.mean(dim=(2, 3)))
            return {"aux": -means, "main": means}

    net = Two().train()
    contract = InputContract(4, 4, output="main")
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    found = torch_scorer(net)(contract, images)
    np.testing.assert_allclose(found, (images / 255).mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(torch_scorer(net)(replace(contract, output=""), images), -found)
    assert net.training


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[1, 3, 2], [5, 0, 0]], [1, 0]),
        ([[1, float("nan"), 2], [0, 1, float("inf")]], [-1, -1]),
        (np.array([[1, 3, 2]])[..., None, None], [1]),
        (np.zeros((0, 3)), []),
    ],
)
def test_the_likeliest_class(scores: Any, expected: list[int]) -> None:
    assert likeliest(np.asarray(scores, np.float32), 3).tolist() == expected


@pytest.mark.parametrize("shape", [(2, 2), (2,), (2, 3, 7, 7)])
def test_what_is_no_row_of_scores_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="which is no row of 3 scores"):
        likeliest(np.zeros(shape), 3)
