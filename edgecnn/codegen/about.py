"""What a net in C says of itself: whose it is, and what goes in and out of it, for people."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.bundle import open_bundle
from edgecnn.spec import InputContract, Variant


@dataclass(frozen=True)
class About:
    """A net in a bundle.

    Attributes:
        net: The bundle's name.
        variant: Name of the variant in C.
        source: Name of the variant that it is made of.
        precision: Number format of that variant's weights.
        contract: What goes in, and the names of the classes.
        pixels: uint8 pixels go in, and not normalised floats.
    """

    net: str
    variant: str
    source: str
    precision: str
    contract: InputContract
    pixels: bool


def read_about(source: Variant, name: str) -> About | None:
    """Read it from the bundle that a variant lies in.

    Args:
        source: A located ONNX variant.
        name: Name of the variant that is made of it.

    Returns:
        None of a plain file, of which nothing is known.

    Raises:
        BundleError: The bundle cannot be read.
    """
    if source.golden is None:
        return None
    manifest = open_bundle(source.path.parent).manifest
    return About(
        manifest.name,
        name,
        source.name,
        source.precision,
        manifest.contract,
        source.preprocessing,
    )
