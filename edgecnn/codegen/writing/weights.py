"""Weights in a file of their own: where each layer's lie in it, and how a device knows them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.planning import ALIGNMENT
from edgecnn.codegen.program import Layer, Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHECK = """\
/* CRC-32, as zip and Ethernet have it. */
int {prefix}_check_weights(const void *weights)
{{
    const unsigned char *const bytes = (const unsigned char *)weights;
    uint32_t sum = 0xffffffffu;
    if ((uintptr_t)weights % {great}_ALIGNMENT != 0)
        return 1;
    for (long i = 0; i < {great}_WEIGHTS_BYTES; i++) {{
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = (sum >> 1) ^ (0xedb88320u & (0u - (sum & 1u)));
    }}
    return (sum ^ 0xffffffffu) == {great}_WEIGHTS_CHECK ? 0 : 2;
}}
"""


def place_weights(
    program: Program, most: int
) -> tuple[dict[Layer, tuple[int, ...]] | None, bytes | None]:
    """Put the constants of all layers behind one another, if they are too many for text.

    Args:
        program: The net.
        most: Bytes that may stay in the text.

    Returns:
        Where each layer's constants begin, and the file; None and None if they stay in the text.
    """
    every = [values for layer in program.layers for values in layer.constants]
    if sum(values.nbytes for values in every) <= most:
        return None, None
    places: dict[Layer, tuple[int, ...]] = {}
    content = bytearray()
    for layer in program.layers:
        found = []
        for values in layer.constants:
            found.append(len(content))
            content += _little(values)
            content += bytes(-len(content) % ALIGNMENT)
        places[layer] = tuple(found)
    return places, bytes(content)


def check_value(weights: bytes) -> str:
    """Give the CRC-32 of the file of weights, as C has it."""
    return f"0x{zlib.crc32(weights):08x}u"


def check(prefix: str) -> str:
    """Write the function that compares weights with the check value in the header."""
    return _CHECK.format(prefix=prefix, great=prefix.upper())


def _little(values: NDArray[Any]) -> bytes:
    return np.asarray(values, values.dtype.newbyteorder("<")).tobytes()
