"""From uint8 pictures in memory to a batch of floats: pick, move, mirror, normalise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edgecnn.recipe import TrainingPlan
from edgecnn.spec import InputContract


@dataclass(frozen=True)
class Moves:
    """How each picture of an epoch is changed, in the epoch's order.

    Attributes:
        mirror: bool [N], mirrored left to right; None where none is.
        shift: int64 [N, 2], pixels down and to the right; None where none is moved.
    """

    mirror: torch.Tensor | None
    shift: torch.Tensor | None


class Normaliser:
    """Turns uint8 [N, H, W, C] into float32 [N, C, H, W] as the input contract says."""

    def __init__(
        self, contract: InputContract, device: torch.device, *, channels_last: bool
    ) -> None:
        self._scale = contract.scale
        # A whole picture of each is subtracted and divided three times as fast as three numbers.
        shape = contract.pixel_shape
        self._mean = torch.tensor(contract.mean, device=device).expand(shape).contiguous()
        self._std = torch.tensor(contract.std, device=device).expand(shape).contiguous()
        self._channels_last = channels_last

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Normalise a batch; channels last in memory if the plan says so."""
        floats = pictures.float().mul_(self._scale).sub_(self._mean).div_(self._std)
        floats = floats.permute(0, 3, 1, 2)
        return floats if self._channels_last else floats.contiguous()


def draw_moves(plan: TrainingPlan, order: torch.Tensor, epoch: int) -> Moves:
    """Draw how an epoch's pictures are changed, from PyTorch's global generator.

    A picture is mirrored in every second epoch, and which half begins is drawn once, from the
    seed: over two epochs each is seen both ways (K. Jordan, 94% on CIFAR-10 in 3.29 seconds, 2024).

    Args:
        plan: `flip`, `shift` and `seed`.
        order: int64 [N], the pictures in the order in which they are seen.
        epoch: Number of the epoch, from 0.
    """
    mirror = shift = None
    if plan.flip:
        first = torch.Generator().manual_seed(plan.seed)
        half = torch.randint(2, (int(order.max()) + 1,), generator=first)
        mirror = (half[order.cpu()] + epoch) % 2 == 1
    if plan.shift:
        shift = torch.randint(-plan.shift, plan.shift + 1, (len(order), 2))
    return Moves(_to(mirror, order.device), _to(shift, order.device))


def pick(images: torch.Tensor, chosen: torch.Tensor, moves: Moves, part: slice) -> torch.Tensor:
    """Take pictures and change them, a whole batch at a time.

    What a shift brings in at a border mirrors what is beside it.

    Args:
        images: uint8 [N, H, W, C].
        chosen: int64 [B], which ones.
        moves: How the epoch's pictures are changed.
        part: Which of the epoch's pictures these are.

    Returns:
        uint8 [B, H, W, C].
    """
    if moves.mirror is None and moves.shift is None:
        return images.index_select(0, chosen)
    _, height, width, _ = images.shape
    rows = torch.arange(height, device=images.device).expand(len(chosen), height)
    columns = torch.arange(width, device=images.device).expand(len(chosen), width)
    if moves.shift is not None:
        down, right = moves.shift[part].unsqueeze(-1).unbind(1)
        rows, columns = _reflect(rows - down, height), _reflect(columns - right, width)
    if moves.mirror is not None:
        mirrored = width - 1 - columns
        columns = torch.where(moves.mirror[part].unsqueeze(1), mirrored, columns)
    return images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


def _reflect(places: torch.Tensor, size: int) -> torch.Tensor:
    last = size - 1
    return (last - (last - places.abs()).abs()).abs()


def _to(tensor: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(device)
