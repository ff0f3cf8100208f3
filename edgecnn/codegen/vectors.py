"""Golden vectors for a net's self-test: a few images of its bundle, and what must be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.feeding import normalise
from edgecnn.golden import expected, golden
from edgecnn.spec import Tolerance, Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_IMAGES, _FEWEST_IMAGES = 4, 2
# As text an image takes four times as many bytes; of large ones there are few.
_LARGE_BYTES = 1 << 14


@dataclass(frozen=True, eq=False)
class Vectors:
    """Golden images, and what a net in C must answer to them.

    Attributes:
        inputs: What the C function is given, [N, ...]: uint8 pixels or float32.
        outputs: Every output by its name, [N, ...].
        allowed: How far each output's numbers may lie from these, by its name; 0 where they must
            be equal.
    """

    inputs: NDArray[Any]
    outputs: Mapping[str, NDArray[Any]]
    allowed: Mapping[str, float]


def read_vectors(source: Variant) -> Vectors | None:
    """Choose golden images of the bundle that a variant lies in, evenly from first to last.

    What must be equal bit for bit is held against what the variant itself answered when it was
    made, all else against the outputs in float64.

    Args:
        source: A located ONNX variant.

    Returns:
        Two to four images; None of a plain file, which has none.

    Raises:
        BundleError: The golden vectors are missing or damaged.
    """
    if source.golden is None:
        return None
    bundle = open_bundle(source.path.parent)
    vectors, own = golden(bundle), expected(bundle, source).outputs
    chosen = _chosen(len(vectors.images), vectors.images[0].nbytes)
    outputs, allowed = {}, {}
    for name, exact in vectors.outputs.items():
        tolerance = source.tolerances.get(name, Tolerance())
        outputs[name] = (own[name] if tolerance.bit_exact else exact)[chosen]
        allowed[name] = _allowed(tolerance, own[name], exact)
    return Vectors(_inputs(bundle, source, vectors.images[chosen]), outputs, allowed)


def _chosen(count: int, size: int) -> NDArray[np.intp]:
    wanted = _FEWEST_IMAGES if size > _LARGE_BYTES else _MOST_IMAGES
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(np.intp)


def _inputs(bundle: Bundle, source: Variant, images: NDArray[np.uint8]) -> NDArray[Any]:
    return images if source.preprocessing else normalise(bundle.manifest.contract, images)


def _allowed(tolerance: Tolerance, own: NDArray[Any], exact: NDArray[np.float64]) -> float:
    """Give the limit of one number; without any, twice what the variant itself is off."""
    if tolerance.bit_exact:
        return 0.0
    if tolerance.atol is not None:
        return tolerance.atol
    return 2 * float(np.abs(own - exact).max())
