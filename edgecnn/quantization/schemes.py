"""The number formats that a net is quantized to: what activations and weights become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import InputError

Integer = Literal["uint8", "int8"]


@dataclass(frozen=True)
class Scheme:
    """Number formats of activations and weights; weights have one scale for each output channel.

    Attributes:
        name: As `--scheme` takes it.
        activations: Their type; uint8 takes any zero point, int8 is symmetric around 0.
        weights: Their type.
        bounded: Weights stay so small that no sum of two products saturates in 16 bits: 7 bits, or
            as many more as a channel can have.
    """

    name: str
    activations: Integer
    weights: Integer
    bounded: bool = False

    @property
    def symmetric(self) -> bool:
        """Activations are quantized around 0, with zero point 0."""
        return self.activations == "int8"

    def __str__(self) -> str:
        signs = {"uint8": "unsigned", "int8": "signed"}
        bits = "7 to 8-bit" if self.bounded else "8-bit"
        kinds = f"{signs[self.activations]} activations, {bits} {signs[self.weights]} weights"
        return f"{self.name} ({kinds} per channel)"


# Unsigned activations and signed weights are what VNNI multiplies; bounded weights keep AVX2's
# 16-bit sums of two products from saturating, so that every CPU answers the same.
SAFE = Scheme("u8s8-7bit", "uint8", "int8", bounded=True)
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        SAFE,
        Scheme("u8s8", "uint8", "int8"),
        Scheme("u8u8", "uint8", "uint8"),
        Scheme("s8s8", "int8", "int8"),
    )
}


def find_scheme(name: str) -> Scheme:
    """Give a scheme by its name.

    Raises:
        InputError: None is called so.
    """
    if name not in SCHEMES:
        raise InputError(
            f"No scheme is called '{name}'.",
            f"Use one of {', '.join(SCHEMES)}, or fastest to measure.",
        )
    return SCHEMES[name]
