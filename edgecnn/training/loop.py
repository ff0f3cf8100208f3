"""The training loop: uint8 pictures in memory, one epoch after another.

Every epoch seeds PyTorch's generators anew from the plan's seed and its own number. What a run has
learned after an epoch is therefore all that the next epochs need: no state of a generator has to
be kept, and a resumed run goes on bit for bit as if it had never stopped.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from edgecnn.errors import InputError
from edgecnn.recipe import TrainingPlan
from edgecnn.spec import InputContract
from edgecnn.training.augment import Normaliser, draw_moves, pick
from edgecnn.training.optimizers import learning_rate_share, make_optimizers, set_learning_rate
from edgecnn.training.report import Epoch, MeanLoss, Step, Tell

_SECONDS_BETWEEN_LOOKS = 0.2
_TEST_BATCH = 500
_LARGEST_BLOCK_THAT_GLIBC_KEEPS = (32 << 20) - 8192


@dataclass(frozen=True)
class Pictures:
    """Pictures in the memory of the device: uint8 [N, H, W, C], and int64 [N] labels."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def on_device(images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Give pictures as a tensor on a device; on the CPU nothing is copied."""
    with warnings.catch_warnings():
        # Large data sets are mapped for reading alone; nobody writes to their pictures.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images).to(device)


@dataclass
class Run:
    """What a training run has learned so far; all that its next epochs need.

    Attributes:
        net: The net, on the device.
        optimizers: What moves its weights.
        average: Running average of the floating-point state; None until it begins.
        curve: The epochs done.
        cpu_seconds: CPU time of these epochs.
    """

    net: nn.Module
    optimizers: tuple[Optimizer, ...]
    average: list[torch.Tensor] | None = None
    curve: list[Epoch] = field(default_factory=list)
    cpu_seconds: float = 0.0


def begin(net: nn.Module, plan: TrainingPlan, device: torch.device) -> Run:
    """Begin a run: move the net to the device and make its optimizers."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    net = net.to(device).to(memory_format=layout)
    return Run(net, make_optimizers(net, plan))


def fit(
    run: Run,
    train: Pictures,
    holdout: Pictures,
    contract: InputContract,
    plan: TrainingPlan,
    *,
    tell: Tell,
    keep: Callable[[Run], None],
    settle: Callable[[nn.Module], None] | None = None,
) -> None:
    """Train until the plan's epochs are done.

    Args:
        run: What to go on with; changed in place.
        train: What to learn from.
        holdout: What the learning curve is measured on; may be empty.
        contract: How pixels are normalised.
        plan: How to train.
        tell: Called with each event.
        keep: Called after each epoch, so that the run can be resumed.
        settle: Called with the net after each epoch, before it is measured on the holdout.

    Raises:
        InputError: The loss is no longer a number.
    """
    device = train.images.device
    _keep_freed_memory()
    normalise = Normaliser(contract, device, channels_last=plan.channels_last)
    while len(run.curve) < plan.epochs:
        cpu, begun = time.process_time(), time.perf_counter()
        torch.manual_seed(_epoch_seed(plan.seed, len(run.curve)))
        epoch = _Epoch(run, train, normalise, plan, tell)
        loss, accuracy = epoch.learn()
        learned = time.perf_counter() - begun
        if settle:
            settle(run.net)
        held = accuracy_on(run.net, holdout, normalise) if len(holdout) else None
        run.cpu_seconds += time.process_time() - cpu
        point = Epoch(
            epoch=len(run.curve) + 1,
            loss=loss,
            train_accuracy=accuracy,
            holdout_accuracy=held,
            learning_rate=float(run.optimizers[0].param_groups[0]["lr"]),
            seconds=time.perf_counter() - begun,
            images_per_second=epoch.images / learned,
        )
        run.curve.append(point)
        keep(run)
        tell(point)
    _use_average(run)


def accuracy_on(net: nn.Module, pictures: Pictures, normalise: Normaliser) -> float:
    """Give the share of pictures that are answered rightly."""
    right = predict(net, pictures.images, normalise) == pictures.labels
    return right.float().mean().item()


def predict(net: nn.Module, images: torch.Tensor, normalise: Normaliser) -> torch.Tensor:
    """Give the class that the net answers for each picture, in float32.

    Args:
        net: The net; left in eval mode.
        images: uint8 [N, H, W, C].
        normalise: How pixels are normalised.

    Returns:
        int64 [N].
    """
    net.eval()
    with torch.no_grad():
        answers = [net(normalise(batch)).argmax(1) for batch in torch.split(images, _TEST_BATCH)]
    return torch.cat(answers)


class _Epoch:
    """One epoch: its order, its losses, and when somebody last looked at them."""

    def __init__(
        self, run: Run, train: Pictures, normalise: Normaliser, plan: TrainingPlan, tell: Tell
    ) -> None:
        self._run, self._train, self._normalise = run, train, normalise
        self._plan, self._tell = plan, tell
        self._number = len(run.curve)
        self._device = train.images.device
        self._batch = min(plan.batch_size, len(train))
        self._steps = len(train) // self._batch
        self.images = self._steps * self._batch
        # Whole batches only: which pictures are left out is drawn anew in each epoch.
        self._order = torch.randperm(len(train))[: self.images].to(self._device)
        self._moves = draw_moves(plan, self._order, self._number)
        self._losses = torch.zeros(self._steps, device=self._device)
        self._right = torch.zeros((), dtype=torch.int64, device=self._device)
        self._begun = self._looked = time.perf_counter()
        self._seen = 0

    def learn(self) -> tuple[float, float]:
        """Learn from every batch; give the mean loss and the accuracy on the way."""
        plan, every = self._plan, self._plan.report_every
        self._run.net.train()
        autocast = _autocast(plan, self._device)
        for step in range(self._steps):
            share = learning_rate_share(
                plan, self._number * self._steps + step, plan.epochs * self._steps
            )
            set_learning_rate(self._run.optimizers, share)
            self._losses[step] = self._one_step(step, autocast)
            if plan.ema:
                _average(self._run, plan, self._number * self._steps + step, self._steps)
            if time.perf_counter() - self._looked > _SECONDS_BETWEEN_LOOKS:
                self._look(step + 1)
            if every and (step + 1) % every == 0:
                mean = self._losses[step + 1 - every : step + 1].mean().item()
                self._tell(MeanLoss(self._number + 1, step + 1, mean))
        self._look(self._steps)
        return self._losses.mean().item(), self._right.item() / self.images

    def _one_step(self, step: int, autocast: AbstractContextManager[object]) -> torch.Tensor:
        part = slice(step * self._batch, (step + 1) * self._batch)
        chosen = self._order[part]
        labels = self._train.labels.index_select(0, chosen)
        inputs = self._normalise(pick(self._train.images, chosen, self._moves, part))
        with autocast:
            outputs = self._run.net(inputs)
            loss = cross_entropy(outputs, labels, label_smoothing=self._plan.label_smoothing)
        for optimizer in self._run.optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(loss)
        for optimizer in self._run.optimizers:
            optimizer.step()
        self._right += (outputs.detach().argmax(1) == labels).sum()
        return loss.detach()

    def _look(self, done: int) -> None:
        recent = self._losses[self._seen : done]
        if len(recent) and not torch.isfinite(recent).all():
            first = self._seen + int((~torch.isfinite(recent)).nonzero()[0]) + 1
            raise _diverged(self._number + 1, first, self._steps, self._plan)
        now = time.perf_counter()
        speed = done / (now - self._begun)
        left = self._plan.epochs * self._steps - self._number * self._steps - done
        if len(recent):
            self._tell(
                Step(
                    epoch=self._number + 1,
                    epochs=self._plan.epochs,
                    step=done,
                    steps=self._steps,
                    loss=recent.mean().item(),
                    accuracy=self._right.item() / (done * self._batch),
                    images_per_second=speed * self._batch,
                    seconds_left=left / speed,
                )
            )
        self._seen, self._looked = done, now


def _keep_freed_memory() -> None:
    # glibc gives large freed blocks back to the kernel, which fills them with zeros for the next
    # step: 2,500 page faults a step for lenet, an eighth of its time. Once it has seen one block of
    # almost 32 MiB freed, it keeps them (mallopt(3), M_MMAP_THRESHOLD). No effect elsewhere.
    torch.empty(_LARGEST_BLOCK_THAT_GLIBC_KEEPS, dtype=torch.uint8)


def _epoch_seed(seed: int, epoch: int) -> int:
    # Far apart, so that no epoch of one seed is an epoch of another.
    return (seed * 1_000_003 + epoch + 1) % 2**63


def _autocast(plan: TrainingPlan, device: torch.device) -> AbstractContextManager[object]:
    if plan.precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _average(run: Run, plan: TrainingPlan, step: int, steps: int) -> None:
    if step < plan.epochs * steps // 2:
        return
    state = _floating(run.net)
    if run.average is None:
        run.average = [tensor.clone() for tensor in state]
    else:
        torch._foreach_lerp_(run.average, state, 1 - plan.ema)


def _use_average(run: Run) -> None:
    if run.average is not None:
        for tensor, mean in zip(_floating(run.net), run.average, strict=True):
            tensor.copy_(mean)


def _floating(net: nn.Module) -> list[torch.Tensor]:
    return [tensor for tensor in net.state_dict().values() if tensor.is_floating_point()]


def _diverged(epoch: int, step: int, steps: int, plan: TrainingPlan) -> InputError:
    lower = plan.learning_rate / 10
    return InputError(
        f"The loss is no longer a number in epoch {epoch}, step {step} of {steps}, at a learning "
        f"rate of at most {plan.learning_rate:g}.",
        f"Use a lower one, such as --learning-rate {lower:.1g}.",
    )
