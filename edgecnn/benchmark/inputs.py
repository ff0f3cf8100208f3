"""What goes into a model while it is measured: real images wherever there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.golden import golden
from edgecnn.predictor import feed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.benchmark.engine import Batches
    from edgecnn.spec import InputContract, Variant
    from edgecnn.worker import Opened

_MOST_BATCHES = 8


@dataclass(frozen=True, eq=False)
class Images:
    """Images to measure with, and what they are.

    Attributes:
        pixels: uint8 [N, height, width, channels].
        what: Where they come from, for the report.
    """

    pixels: NDArray[np.uint8]
    what: str


def bundle_images(bundle: Bundle) -> Images:
    """Give a bundle's golden images; random ones, and so called, where it has none.

    Raises:
        BundleError: The golden vectors are damaged.
    """
    if GOLDEN in bundle.files:
        found = golden(bundle)
        what = "golden images, which are stand-ins" if found.stand_in else "golden images"
        return Images(found.images, what)
    import numpy as np

    shape = (_MOST_BATCHES, *bundle.manifest.contract.pixel_shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Images(pixels, "random images, for the bundle has no golden ones")


def describe(images: Images, batch_size: int) -> str:
    """Say which images are used and how."""
    batches, count = _batches(images.pixels, batch_size), len(images.pixels)
    used = min(count, batches * batch_size)
    return f"{used} {images.what}, in turn in {batches} batches of {batch_size}"


def make_batches(
    contract: InputContract,
    variant: Variant,
    opened: Opened,
    images: NDArray[np.uint8],
    batch_size: int,
) -> Batches:
    """Give up to 8 different batches of a variant's input.

    Args:
        contract: How pictures become input.
        variant: What was opened.
        opened: What goes into it.
        images: uint8 [N, height, width, channels]; used again from the start if they are too few.
        batch_size: Images in one call.
    """
    import numpy as np

    order = np.arange(_batches(images, batch_size) * batch_size) % len(images)
    parts = order.reshape(-1, batch_size)
    return [feed(contract, variant, opened, images[part]) for part in parts]


def _batches(images: NDArray[np.uint8], batch_size: int) -> int:
    return min(_MOST_BATCHES, max(1, len(images) // batch_size))
