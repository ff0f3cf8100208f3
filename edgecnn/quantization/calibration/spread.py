"""How much of a result is the luck of which images calibrated."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data import Dataset
from edgecnn.errors import InputError
from edgecnn.progress import Progress
from edgecnn.quantization.calibration.draws import Draw, draw
from edgecnn.quantization.distance import Distance, has_margins, measure_distance
from edgecnn.quantization.plan import Plan

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.quantization.distance import Outputs
    from edgecnn.spec import InputContract


@dataclass(frozen=True)
class Drawn:
    """What one draw of calibration images led to.

    Attributes:
        resample: Number of the draw; 0 is the one that the variant was made from.
        shared: How many of its images the draws before it had as well.
        distance: From fp32's answers to the selection images.
        accuracy: Share (0 to 1) of the selection images that are recognised; None where outputs
            are no classes.
    """

    resample: int
    shared: int
    distance: Distance
    accuracy: float | None


@dataclass(frozen=True)
class Spread:
    """The same plan calibrated on several draws, compared on the same selection images.

    Attributes:
        calibration_images: Images in each draw.
        selection_images: Images that all were compared on.
        fp32_accuracy: Share (0 to 1) of them that fp32 recognises; None where outputs are no
            classes. Training may have seen them: it is no accuracy on new images.
        draws: One for each draw, the variant's own first.
    """

    calibration_images: int
    selection_images: int
    fp32_accuracy: float | None
    draws: tuple[Drawn, ...]

    @property
    def accuracy_spread(self) -> float | None:
        """Standard deviation (0 to 1) of the accuracy over the draws; None likewise."""
        shares = [each.accuracy for each in self.draws if each.accuracy is not None]
        return statistics.stdev(shares) if len(shares) > 1 else None

    def __str__(self) -> str:
        head = (
            f"With {len(self.draws)} draws of {self.calibration_images:,} calibration images, the "
        )
        tail = f" on the same {self.selection_images:,} selection images."
        errors = [each.distance.margin_error for each in self.draws]
        known = [error for error in errors if error is not None]
        if not known:
            ratios = [each.distance.sqnr_db for each in self.draws]
            return f"{head}SQNR is {_range(min(ratios), max(ratios), 'dB', 1)}{tail}"
        text = f"{head}margin error is {_range(100 * min(known), 100 * max(known), '%', 2)}"
        shares = [100 * each.accuracy for each in self.draws if each.accuracy is not None]
        if shares:
            text += f" and the accuracy {_range(min(shares), max(shares), '%', 2)}"
        return text + tail


def _range(low: float, high: float, unit: str, digits: int) -> str:
    one, other = (f"{each:.{digits}f}" for each in (low, high))
    return f"{one} {unit} in each" if one == other else f"{one} to {other} {unit}"


def measure_spread(
    core: ir.Model,
    contract: InputContract,
    dataset: Dataset,
    plan: Plan,
    resamples: int,
    *,
    classes: bool,
    calibration_samples: int | None = None,
    selection_samples: int | None = None,
    tell: Progress | None = None,
) -> Spread:
    """Make a core int8 from several draws of calibration images, and compare what comes of it.

    Args:
        core: A float core, without preprocessing.
        contract: Scale, mean, std and layout of its input.
        dataset: Its training split is drawn from.
        plan: How each is made.
        resamples: How many draws besides the one that the variant was made from, at least 1.
        classes: The first output is a row of scores.
        calibration_samples: As in `draw`.
        selection_samples: Likewise.
        tell: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: There are too few images for so many draws, or no other draw is asked for.
        ModelError: ONNX Runtime refuses the model or its quantizer does.
    """
    from edgecnn.quantization.running import run_core

    draws = _draws(dataset, calibration_samples, selection_samples, resamples)
    selection = dataset.train.take(draws[0].selection)
    reference = run_core(core, contract, selection.images)
    labels = selection.labels if classes else None
    found = []
    for number, each in enumerate(draws):
        if tell:
            tell(f"Calibrating on draw {number + 1} of {len(draws)}", number / len(draws))
        outputs = _answers(core, contract, dataset, each, plan)
        shared = _shared(draws[:number], each)
        distance = measure_distance(reference, outputs, classes=classes)
        found.append(Drawn(number, shared, distance, _accuracy(outputs, labels)))
    sizes = len(draws[0].calibration), len(selection)
    return Spread(*sizes, _accuracy(reference, labels), tuple(found))


def _draws(
    dataset: Dataset, calibration_samples: int | None, selection_samples: int | None, others: int
) -> list[Draw]:
    if others < 1:
        raise InputError(
            f"{others} other draws show no spread.", "Use --calibration-resamples 5, for example."
        )
    draws = [
        draw(dataset, calibration_samples, selection_samples, resample=number)
        for number in range(others + 1)
    ]
    _refuse_repeated(dataset, draws)
    return draws


def _refuse_repeated(dataset: Dataset, draws: list[Draw]) -> None:
    different = len({tuple(sorted(each.calibration.tolist())) for each in draws})
    if different < len(draws):
        raise InputError(
            f"{dataset.source} has too few images for {len(draws)} different draws of "
            f"{len(draws[0].calibration):,} that calibrate, beside {len(draws[0].selection):,} to "
            f"select on: the most is {different}.",
            "Use a smaller --calibration-samples or --selection-samples, or fewer "
            "--calibration-resamples.",
        )


def _answers(
    core: ir.Model, contract: InputContract, dataset: Dataset, drawn: Draw, plan: Plan
) -> Outputs:
    from edgecnn.quantization.making import quantize_core
    from edgecnn.quantization.running import run_core

    model = quantize_core(core, contract, dataset.train.take(drawn.calibration).images, plan)
    return run_core(model, contract, dataset.train.take(drawn.selection).images)


def _shared(before: list[Draw], each: Draw) -> int:
    import numpy as np

    if not before:
        return 0
    seen = np.concatenate([one.calibration for one in before])
    return int(np.isin(each.calibration, seen).sum())


def _accuracy(outputs: Outputs, labels: NDArray[np.int64] | None) -> float | None:
    scores = next(iter(outputs.values()))
    if labels is None or not has_margins(scores):
        return None
    return float((scores.argmax(axis=1) == labels).mean())
