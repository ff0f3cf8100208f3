"""All that decides what an int8 file holds, apart from the net and the images."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.quantization.schemes import SAFE, Scheme


@dataclass(frozen=True)
class Plan:
    """How a float core becomes int8; the same plan on the same images gives the same bytes.

    Attributes:
        scheme: The number formats.
        calibration: How an activation's range is taken from what was observed, by its name in
            `calibration.METHODS`.
        preparations: What is done to the float core first, in order, by its names in
            `preparing.PREPARATIONS`.
        corrections: What is done to the weights and biases afterwards, in order, by its names in
            `correcting.CORRECTIONS`.
        in_float: Names of the nodes that stay in float.
    """

    scheme: Scheme = SAFE
    calibration: str = "minmax"
    preparations: tuple[str, ...] = ("folding", "normalisations", "pools")
    corrections: tuple[str, ...] = ()
    in_float: tuple[str, ...] = ()
