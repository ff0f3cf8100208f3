"""Optimizers and the learning rate: SGD and AdamW from PyTorch, and Muon."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from edgecnn.errors import ModelError
from edgecnn.recipe import TrainingPlan

_ADAMW_SHARE = 0.2


class Muon(Optimizer):
    """Momentum whose step, for each layer, is made orthogonal.

    Every direction in a layer's weights learns at the same speed, which takes a small net to its
    accuracy in a third of the steps. For convolutions and fully connected layers only.

    Source: K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    Args:
        parameters: Weights with two or more axes, the first the outputs.
        lr: Learning rate.
        momentum: Momentum, in Nesterov's form.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every weight by one step; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    self._move(weights, weights.grad, group)
        return None

    def _move(self, weights: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[weights]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weights)
        velocity = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        direction = gradient.add(velocity, alpha=group["momentum"])
        outputs, inputs = len(weights), weights[0].numel()
        rate = group["lr"] * max(1.0, outputs / inputs) ** 0.5
        weights.mul_(1 - group["lr"] * group["weight_decay"])
        weights.add_(orthogonal(direction.flatten(1)).reshape(weights.shape), alpha=-rate)


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Bring all singular values of a matrix near 1, by Newton-Schulz iteration.

    The coefficients are Jordan's: they overshoot to between 0.7 and 1.2 so as to be quick.
    """
    tall = matrix.size(0) > matrix.size(1)
    x: torch.Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def make_optimizers(net: nn.Module, plan: TrainingPlan) -> tuple[Optimizer, ...]:
    """Make what moves the weights; biases and norms have no weight decay.

    Raises:
        ModelError: The net has no weights that Muon could move.
    """
    parameters = [weights for weights in net.parameters() if weights.requires_grad]
    matrices = [weights for weights in parameters if weights.ndim > 1]
    vectors = [weights for weights in parameters if weights.ndim < 2]
    if plan.optimizer == "muon":
        return _muon_and_adamw(matrices, vectors, plan)
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimizer == "adamw":
        return _remember_peaks(_adamw(groups, plan.learning_rate))
    nesterov = plan.nesterov and plan.momentum > 0
    return _remember_peaks(
        SGD(groups, plan.learning_rate, momentum=plan.momentum, nesterov=nesterov, fused=True)
    )


def set_learning_rate(optimizers: Sequence[Optimizer], share: float) -> None:
    """Set every learning rate to a share of its highest."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share


def learning_rate_share(plan: TrainingPlan, step: int, steps: int) -> float:
    """Give the share of the highest learning rate at a step (from 0) of a run's steps."""
    if plan.schedule == "constant":
        return 1.0
    rise = plan.warmup_fraction * steps
    if step < rise:
        return (step + 1) / (math.ceil(rise))
    fall = (step - rise) / max(steps - rise, 1)
    return plan.final_lr_fraction + (1 - plan.final_lr_fraction) * (1 - fall)


def _muon_and_adamw(
    matrices: list[nn.Parameter], vectors: list[nn.Parameter], plan: TrainingPlan
) -> tuple[Optimizer, ...]:
    if not matrices:
        raise ModelError(
            "muon moves convolutions and fully connected layers, and this net has none.",
            'Write optimizer = "adamw" in the recipe.',
        )
    muon = Muon(
        matrices, lr=plan.learning_rate, momentum=plan.momentum, weight_decay=plan.weight_decay
    )
    if not vectors:
        return _remember_peaks(muon)
    rest = [{"params": vectors, "weight_decay": 0.0}]
    return _remember_peaks(muon, _adamw(rest, plan.learning_rate * _ADAMW_SHARE))


def _adamw(groups: list[dict[str, Any]], rate: float) -> AdamW:
    return AdamW(groups, rate, betas=(0.9, 0.99), fused=True)


def _remember_peaks(*optimizers: Optimizer) -> tuple[Optimizer, ...]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
