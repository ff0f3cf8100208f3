"""Fine-tuning a quantized core on training pictures, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgecnn.quantization.running import run_core
from edgecnn.recipe import TrainingPlan
from edgecnn.training.augment import Normaliser
from edgecnn.training.loop import Pictures, Run, accuracy_on, begin, fit
from edgecnn.training.qat.net import QdqNet
from edgecnn.training.qat.operators import refuse
from edgecnn.training.qat.reading import read_program
from edgecnn.training.qat.writing import write_even
from edgecnn.training.report import Epoch, Tell

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

# The float core computes in PyTorch what it computes in ONNX Runtime, up to sums in another order.
_LARGEST_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class Start:
    """What fine-tuning begins with.

    Attributes:
        quantized: The quantized core.
        prepared: The float core that it was made from.
        contract: How pixels become its input.
        bounded: Its weights stay within 7 bits, but for depthwise convolutions.
    """

    quantized: ir.Model
    prepared: ir.Model
    contract: InputContract
    bounded: bool


@dataclass(frozen=True, eq=False)
class Tuned:
    """What came out.

    Attributes:
        core: The quantized core of the chosen epoch.
        curve: The epochs.
        chosen: Number of the chosen epoch, from 1.
        before: Share of the holdout that was answered rightly before the first step.
        weights: Tensors of weights that were rounded while they learned.
        scales: Scales that learned.
        cpu_seconds: CPU time of the epochs.
    """

    core: ir.Model
    curve: tuple[Epoch, ...]
    chosen: int
    before: float
    weights: int
    scales: int
    cpu_seconds: float


def tune(
    start: Start,
    train: Pictures,
    holdout: Pictures,
    plan: TrainingPlan,
    device: torch.device,
    tell: Tell,
) -> Tuned:
    """Fine-tune a quantized core: its weights and scales learn, through the rounding.

    After each epoch the core is written as it would be written to a file, and measured on the
    holdout so; the best of these cores comes out.

    Args:
        start: The core and what it was made from.
        train: Training pictures.
        holdout: Training pictures kept back, by which the epoch is chosen; may be empty.
        plan: How to train.
        device: Where to train.
        tell: Called with each event.

    Raises:
        ModelError: An operator cannot be computed in training.
        InputError: The loss is no longer a number.
    """
    net = make_net(start)
    kept = _Kept(start.quantized)
    run = begin(net, plan, device)
    normalise = Normaliser(start.contract, device, channels_last=plan.channels_last)
    before = accuracy_on(net, holdout, normalise) if len(holdout) else 0.0
    fit(
        run,
        train,
        holdout,
        start.contract,
        plan,
        tell=tell,
        keep=kept.keep,
        settle=lambda _: kept.write(net),
    )
    scales = sum(scale.size for scale in net.program.scales.values())
    return Tuned(
        kept.core,
        tuple(run.curve),
        kept.chosen,
        before,
        len(net.program.weights),
        scales,
        run.cpu_seconds,
    )


def make_net(start: Start) -> QdqNet:
    """Make the net that learns.

    Raises:
        ModelError: An operator cannot be computed in training.
    """
    program = read_program(start.quantized, start.prepared, bounded=start.bounded)
    if not program.weights:
        raise refuse("a net without quantized weights")
    return QdqNet(program, start.contract.layout)


def prove(start: Start, images: NDArray[np.uint8]) -> None:
    """Prove that PyTorch computes a float core as ONNX Runtime does.

    Args:
        start: The core and its contract.
        images: uint8 [M, height, width, channels].

    Raises:
        ModelError: It does not, or an operator cannot be computed.
    """
    program = read_program(start.prepared, start.prepared, bounded=start.bounded)
    net = QdqNet(program, start.contract.layout)
    normalise = Normaliser(start.contract, torch.device("cpu"), channels_last=False)
    with torch.no_grad():
        found = net(normalise(torch.from_numpy(np.array(images)))).numpy()
    wanted = next(iter(run_core(start.prepared, start.contract, images).values()))
    if found.shape != wanted.shape or not _close(found, wanted):
        raise refuse("this net as ONNX Runtime does")


def _close(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> bool:
    return bool(np.abs(found - wanted).max() <= _LARGEST_ERROR * max(1.0, np.abs(wanted).max()))


class _Kept:
    """The core of the best epoch so far, and of the last."""

    def __init__(self, quantized: ir.Model) -> None:
        self._quantized = self._last = self.core = quantized
        self._best, self.chosen = -1.0, 0

    def write(self, net: QdqNet) -> None:
        self._last = write_even(net, self._quantized)

    def keep(self, run: Run) -> None:
        right = run.curve[-1].holdout_accuracy
        if right is None or right >= self._best:
            self._best, self.core, self.chosen = right or 0.0, self._last, len(run.curve)
