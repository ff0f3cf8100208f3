"""Which releases of ONNX Runtime read which ONNX files.

The table was found by trying, with the real wheel of each release: `benchmarks/ort_releases.py`
has each load and run a file of every IR version and of every operator set. Releases that were not
tried are not known, and nothing is guessed of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.errors import InputError

# What `GraphSummary.opsets` calls ONNX's own operators.
_OWN = "onnx"


@dataclass(frozen=True)
class Release:
    """A minor release of ONNX Runtime, and the newest that it reads.

    Attributes:
        version: Such as `1.16`.
        ir_version: Newest version of ONNX's file format.
        opset: Newest version of ONNX's operators of which it computes all that were tried. It may
            load a newer one, and then find no kernel for Reshape or QuantizeLinear.
    """

    version: str
    ir_version: int
    opset: int


RELEASES = tuple(
    Release(*row)
    for row in (
        ("1.15", 9, 18),
        ("1.16", 9, 19),
        ("1.17", 9, 20),
        ("1.18", 10, 21),
        ("1.19", 10, 21),
        ("1.20", 10, 21),
        ("1.21", 10, 22),
        ("1.22", 10, 22),
        ("1.23", 11, 22),
        ("1.24", 13, 25),
        ("1.25", 13, 26),
        ("1.26", 13, 26),
        ("1.27", 13, 26),
        ("1.28", 13, 26),
        ("1.29", 13, 26),
        ("1.30", 13, 26),
        ("1.31", 13, 26),
        ("1.32", 14, 27),
    )
)
OLDEST, NEWEST = RELEASES[0].version, RELEASES[-1].version


@dataclass(frozen=True)
class Support:
    """Which releases of ONNX Runtime read a file.

    Attributes:
        oldest: The oldest that does, of those that were tried; empty if none does, or if it cannot
            be known.
        because: What decides it, such as `IR 8, opset 18`.
        unknown: Why it cannot be known; empty if it can.
    """

    oldest: str
    because: str
    unknown: str = ""

    def __str__(self) -> str:
        if self.unknown:
            return f"not known: {self.unknown} ({self.because})"
        if not self.oldest:
            return f"none up to {NEWEST}, the newest that was tried ({self.because})"
        tried = ", the oldest that was tried," if self.oldest == OLDEST else ""
        return f"ONNX Runtime {self.oldest}{tried} and newer ({self.because})"


def support(ir_version: int, opsets: Mapping[str, int]) -> Support:
    """Say which releases read a file.

    Args:
        ir_version: Version of its format.
        opsets: Version of each operator set; ONNX's own is called `onnx`.
    """
    opset = opsets.get(_OWN, 1)
    because = f"IR {ir_version}, opset {opset}"
    others = sorted(opsets.keys() - {_OWN})
    if others:
        return Support(
            "", because, f"it has operators of {', '.join(others)}, which are no part of ONNX"
        )
    fitting = (one for one in RELEASES if one.ir_version >= ir_version and one.opset >= opset)
    oldest = next(fitting, None)
    return Support(oldest.version if oldest else "", because)


def find_release(text: str) -> Release:
    """Find a release by its version, such as `1.16` or `1.16.3`.

    Raises:
        InputError: It is no version, or one that was never tried.
    """
    number = re.fullmatch(r"(\d+\.\d+)(\.\d+)?", text)
    found = next((one for one in RELEASES if number and one.version == number[1]), None)
    if found is None:
        raise InputError(
            f"It is not known what ONNX Runtime {text} reads.",
            f"Name one from {OLDEST} to {NEWEST}.",
        )
    return found
