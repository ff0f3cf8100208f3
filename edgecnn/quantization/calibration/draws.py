"""Which training images calibrate, and on which others candidates are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data import Dataset, Split, by_content, spread
from edgecnn.errors import DataError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.bundle import Bundle

CALIBRATION_SAMPLES, SELECTION_SAMPLES = 512, 1024
# The largest share of the training split that training keeps back for its learning curve, from the
# end of the order of content.
_HOLDOUT = 10
# Neighbouring pixels of pictures are alike: on CIFAR-10 their correlation is 0.95. Of noise it is
# 0, give or take one over the root of the number of pixels.
_LEAST_CORRELATION, _LOOKED_AT = 0.05, 64


@dataclass(frozen=True, eq=False)
class Draw:
    """Images of a training split, by their indices; none is in both parts.

    Attributes:
        calibration: What ranges are taken from; int64 [C].
        selection: What candidates are compared on; int64 [S].
    """

    calibration: NDArray[np.int64]
    selection: NDArray[np.int64]


def draw(
    dataset: Dataset,
    calibration_samples: int | None = None,
    selection_samples: int | None = None,
    *,
    resample: int = 0,
    usual_selection: int = SELECTION_SAMPLES,
) -> Draw:
    """Draw from the training split, the classes as equal as possible; alike on every machine.

    An image that is, pixel for pixel, a test image or one that comes before it is left out. What
    training may have kept back is used only where the rest is too small.

    Args:
        dataset: Training images to draw from, and test images to leave out.
        calibration_samples: Images that calibrate; 512 by default, or half of what there is.
        selection_samples: Images to select on; 1,024 by default, or what there is. With 0 there is
            nothing to choose.
        resample: Number of the draw. Each selects on the same images, so that what differs is the
            calibration alone. It calibrates on others than the draws before it as long as a class
            has others.
        usual_selection: What `selection_samples` is by default.

    Raises:
        InputError: The split has too few images.
    """
    _check(calibration_samples, selection_samples)
    train, order = dataset.train, _usable(dataset)
    wanted = (calibration_samples or 1) + (1 if selection_samples is None else selection_samples)
    if wanted > len(order):
        raise _too_few(dataset, len(order), wanted)
    before_holdout = order[: len(order) - len(order) // _HOLDOUT]
    sizes = calibration_samples, selection_samples, usual_selection
    if _all_wanted(*sizes) <= len(before_holdout):
        order = before_holdout
    calibrating, selecting = _sizes(len(order), *sizes)
    first = spread(train.labels, order, calibrating)
    selection = spread(train.labels, _without(order, first), selecting)
    pool = _without(order, selection)
    return Draw(_resampled(train, pool, first, resample), selection)


def refuse_unreal(bundle: Bundle, dataset: Dataset) -> None:
    """Refuse images that do not look like what the net will see.

    Drawn shapes are real only to a net that was made for them; noise is real to none.

    Args:
        bundle: The net's bundle.
        dataset: What would calibrate it.

    Raises:
        DataError: It is no data to calibrate on.
    """
    own = bundle.manifest.data
    if dataset.source == "synthetic" and (own is None or own.source != "synthetic"):
        raise DataError(
            f"The drawn shapes are not what {bundle.folder} was made for, and calibrate nothing.",
            "Name real images with --data FOLDER, --data FILE.npz or --data cifar10.",
        )
    correlation = _neighbours(dataset.train.images[:_LOOKED_AT])
    if correlation is not None and abs(correlation) < _LEAST_CORRELATION:
        raise DataError(
            f"The training images of {dataset.source} are random noise: neighbouring pixels have "
            f"a correlation of {correlation:.2f}. Noise calibrates nothing.",
            "Name real images with --data FOLDER, --data FILE.npz or --data cifar10.",
        )


def _check(calibration: int | None, selection: int | None) -> None:
    if calibration is not None and calibration < 1:
        raise InputError(
            f"{calibration} images calibrate nothing.", "Use --calibration-samples 1 or more."
        )
    if selection is not None and selection < 0:
        raise InputError(
            f"{selection} images cannot be selected on.", "Use --selection-samples 1 or more."
        )


def _usable(dataset: Dataset) -> NDArray[np.int64]:
    """Give the training images by content, each once and no test image among them."""
    import numpy as np

    keys, order = dataset.train.content_keys, by_content(dataset.train)
    ordered = keys[order]
    again = np.concatenate([[False], ordered[1:] == ordered[:-1]])[: len(order)]
    usable: NDArray[np.int64] = order[~again & ~np.isin(ordered, dataset.test.content_keys)]
    return usable


def _all_wanted(calibration: int | None, selection: int | None, usual: int) -> int:
    return (calibration or CALIBRATION_SAMPLES) + (usual if selection is None else selection)


def _sizes(
    have: int, calibration: int | None, selection: int | None, usual: int
) -> tuple[int, int]:
    if calibration is None:
        room = have - (selection or 0)
        calibration = min(CALIBRATION_SAMPLES, room if selection is not None else -(-have // 2))
    if selection is None:
        selection = min(usual, have - calibration)
    return calibration, selection


def _too_few(dataset: Dataset, have: int, wanted: int) -> InputError:
    half = have // 2
    flags = f"--calibration-samples {half} --selection-samples {have - half}"
    return InputError(
        f"{dataset.source} has {have:,} training images to calibrate and to select on, fewer than "
        f"{wanted:,}; test images and repeated ones are left out.",
        f"Use {flags}, or name other data with --data." if half else "Name other data with --data.",
    )


def _resampled(
    train: Split, pool: NDArray[np.int64], first: NDArray[np.int64], number: int
) -> NDArray[np.int64]:
    """Give as many images of each class as the first draw has, after those of earlier draws."""
    import numpy as np

    parts = []
    for label in np.unique(train.labels[first]):
        own = pool[train.labels[pool] == label]
        count = int((train.labels[first] == label).sum())
        parts.append(own.take(number * count + np.arange(count), mode="wrap"))
    chosen = np.concatenate(parts)
    return pool[np.isin(pool, chosen)]


def _without(order: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    import numpy as np

    return order[~np.isin(order, taken)]


def _neighbours(images: NDArray[np.uint8]) -> float | None:
    """Give the correlation of pixels with those to their right; None where there are none."""
    import numpy as np

    left, right = (part.astype(np.float64) for part in (images[:, :, :-1], images[:, :, 1:]))
    if not left.size or left.std() == 0 or right.std() == 0:
        return None
    return float(np.corrcoef(left.ravel(), right.ravel())[0, 1])
