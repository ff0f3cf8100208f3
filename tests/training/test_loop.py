from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn.recipe import TrainingPlan
from edgecnn.spec import InputContract

torch = pytest.importorskip("torch")
augment = pytest.importorskip("edgecnn.training.augment")
loop = pytest.importorskip("edgecnn.training.loop")
optimizers = pytest.importorskip("edgecnn.training.optimizers")
CPU = torch.device("cpu")


def images(count: int = 6) -> Any:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, 7, 9, 3), np.uint8))


def test_pictures_that_are_mapped_for_reading_are_taken_as_they_are() -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels.flags.writeable = False
    found = loop.on_device(pixels, CPU)
    assert found.data_ptr() == pixels.ctypes.data


def test_pictures_are_normalised_as_the_contract_says() -> None:
    contract = InputContract(7, 9, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    pixels = images()
    wanted = (pixels.double() / 255 - torch.tensor(contract.mean)) / torch.tensor(contract.std)
    for channels_last in (True, False):
        found = augment.Normaliser(contract, CPU, channels_last=channels_last)(pixels)
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), wanted.permute(0, 3, 1, 2), atol=1e-6)


def test_pictures_are_shifted_and_mirrored_one_by_one() -> None:
    pixels = images()
    shift = torch.tensor([[0, 0], [2, 0], [0, -2], [-1, 1], [2, -2], [1, 1]])
    mirror = torch.tensor([False, False, False, True, True, True])
    moves = augment.Moves(mirror, shift)
    chosen = torch.tensor([5, 0, 3, 3, 1, 2])
    found = augment.pick(pixels, chosen, moves, slice(0, 6)).numpy()
    for place, index in enumerate(chosen.tolist()):
        image = pixels[index].numpy()
        if mirror[place]:
            image = image[:, ::-1]
        down, right = shift[place].tolist()
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        wanted = padded[2 - down : 9 - down, 2 - right : 11 - right]
        np.testing.assert_array_equal(found[place], wanted)


def test_every_picture_is_mirrored_in_every_second_epoch() -> None:
    plan = TrainingPlan(flip=True, seed=4)
    order = torch.arange(1000)
    first, second, third = (augment.draw_moves(plan, order, epoch).mirror for epoch in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert 400 < int(first.sum()) < 600


def test_shifts_use_the_whole_range() -> None:
    shift = augment.draw_moves(TrainingPlan(shift=2), torch.arange(500), 0).shift
    assert set(shift.flatten().tolist()) == {-2, -1, 0, 1, 2}


def test_one_cycle_rises_then_falls_in_straight_lines() -> None:
    plan = TrainingPlan(warmup_fraction=0.25, final_lr_fraction=0.1)
    shares = [optimizers.learning_rate_share(plan, step, 100) for step in range(100)]
    np.testing.assert_allclose(shares[:25], np.arange(1, 26) / 25)
    np.testing.assert_allclose(np.diff(shares[25:]), -0.9 / 75)
    assert shares[25] == 1
    assert max(shares) <= 1
    assert optimizers.learning_rate_share(replace(plan, schedule="constant"), 7, 100) == 1


@pytest.mark.parametrize("shape", [(6, 75), (120, 40), (10, 10)])
def test_muons_steps_are_nearly_orthogonal(shape: tuple[int, int]) -> None:
    matrix = torch.from_numpy(np.random.default_rng(2).normal(size=shape)).float()
    values = torch.linalg.svdvals(optimizers.orthogonal(matrix, steps=10))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


@pytest.mark.parametrize(("layer", "factor"), [("Conv2d(3, 8, 5)", 1), ("Linear(4, 16)", 2)])
def test_muon_moves_a_layer_as_its_definition_says(layer: str, factor: int) -> None:
    name, sizes = layer.removesuffix(")").split("(")
    net = getattr(torch.nn, name)(*map(int, sizes.split(",")))
    before = net.weight.detach().clone()
    plan = TrainingPlan(optimizer="muon", learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    muon, adamw = optimizers.make_optimizers(net, plan)
    net.weight.grad = torch.ones_like(net.weight)
    net.weight.grad[0] = -2
    muon.step()
    # The first velocity is the gradient, so Nesterov's direction is 1.5 gradients.
    step = optimizers.orthogonal((1.5 * net.weight.grad).flatten(1)).reshape(before.shape)
    wanted = before * (1 - 0.1 * 0.2) - 0.1 * factor * step
    assert torch.allclose(net.weight, wanted, atol=1e-6)
    assert [group["lr"] for group in adamw.param_groups] == [pytest.approx(0.02)]


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_biases_and_norms_do_not_decay(name: Any) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    plan = TrainingPlan(optimizer=name, weight_decay=0.3)
    decay = {
        id(weights): group["weight_decay"]
        for optimizer in optimizers.make_optimizers(net, plan)
        for group in optimizer.param_groups
        for weights in group["params"]
    }
    for weights in net.parameters():
        assert decay[id(weights)] == (0.3 if weights.ndim > 1 else 0)
