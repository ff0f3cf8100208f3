"""How far int8 lies from fp32 on each test image, for outputs of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecnn.data import by_content
from edgecnn.errors import ModelError
from edgecnn.predictor import Predictor
from edgecnn.runtime import open_session
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.quantization.measuring import Job

    Sums = NDArray[np.float64]

_MOST_IMAGES, _AT_ONCE = 1024, 32


def image_sums(job: Job, located: Variant) -> tuple[Sums, Sums]:
    """Give signal and noise of each test image, of the output that lies farthest from fp32.

    Images are taken by their content, 1,024 at most; a few are answered at a time.

    Args:
        job: What was quantized, and its test images.
        located: The new variant.

    Returns:
        Sum of the squares of what fp32 answers, and of int8's difference from it; float64 [N] each.

    Raises:
        ModelError: An answer is NaN or infinite.
    """
    import numpy as np

    parts: dict[str, list[tuple[Sums, Sums]]] = {}
    for name, part in _parts(job, located):
        parts.setdefault(name, []).append(part)
    sums = {
        name: tuple(np.concatenate(column) for column in zip(*each, strict=True))
        for name, each in parts.items()
    }
    if not all(np.isfinite(each).all() for pair in sums.values() for each in pair):
        raise ModelError(
            f"{job.source.name} or {located.name} answers with NaN or infinity to a test image.",
            f"Keep {job.source.name}.",
        )
    # An output that is zero throughout has no signal; its noise counts all the same.
    worst = max(sums, key=lambda name: sums[name][1].sum() / max(sums[name][0].sum(), 1e-30))
    signal, noise = sums[worst]
    return signal, noise


def _parts(job: Job, located: Variant) -> Iterator[tuple[str, tuple[Sums, Sums]]]:
    contract, test = job.bundle.manifest.contract, job.dataset.test
    images = test.images[by_content(test)[:_MOST_IMAGES]]
    with (
        open_session(job.source, provider="cpu", threads=job.threads) as one,
        open_session(located, provider="cpu", threads=job.threads) as other,
    ):
        first, second = Predictor(contract, job.source, one), Predictor(contract, located, other)
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            exact, found = first.run_all(part), second.run_all(part)
            for name, array in exact.items():
                yield name, _sums(array, found[name])


def _sums(exact: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[Sums, Sums]:
    import numpy as np

    wide = exact.reshape(len(exact), -1).astype(np.float64)
    error = found.reshape(wide.shape) - wide
    return np.square(wide).sum(axis=1), np.square(error).sum(axis=1)
