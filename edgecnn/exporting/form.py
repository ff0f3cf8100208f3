"""Which form of a net is exported, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import InputError
from edgecnn.releases import find_release
from edgecnn.spec import Layout

OPSET = 18


@dataclass(frozen=True)
class Form:
    """What was asked for.

    Attributes:
        opset: Version of ONNX's operators; None for the usual one.
        preprocessing: Take uint8 pixels; otherwise floats that are normalised already.
        batch_size: A fixed batch; None for an open one.
        layout: Axes of the floats.
        min_ort: The oldest ONNX Runtime that is to read it, such as `1.16`; empty for any.
        lowered: It is a second form of an imported file that this ONNX Runtime would not read.
    """

    opset: int | None
    preprocessing: bool
    batch_size: int | None
    layout: Layout = "nchw"
    min_ort: str = ""
    lowered: bool = False

    @property
    def name(self) -> str:
        """Name of the variant, such as `fp32`, `fp32-nchw` or `fp32-b1`."""
        floats = "" if self.preprocessing else f"-{self.layout}"
        batch = f"-b{self.batch_size}" if self.batch_size else ""
        return f"fp32{floats}{batch}{f'-ort{self.min_ort}' if self.lowered else ''}"

    @property
    def most_opset(self) -> int | None:
        """The newest opset that it may have; None for any."""
        return find_release(self.min_ort).opset if self.min_ort else None

    @property
    def command(self) -> str:
        """The command that makes this form."""
        flags = [
            f"--opset {self.opset}" if self.opset not in (None, OPSET) else "",
            "" if self.preprocessing else "--no-preprocessing",
            f"--batch-size {self.batch_size}" if self.batch_size else "",
            f"--min-ort {self.min_ort}" if self.min_ort else "",
        ]
        return " ".join(filter(None, ["edgecnn export", *flags]))

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            InputError: The opset is not among those that are written, or the oldest ONNX Runtime
                does not read it or is not known; or the batch is empty.
        """
        if self.opset is not None and not 17 <= self.opset <= 23:
            raise InputError(f"Opset {self.opset} cannot be written.", "Use --opset 17 to 23.")
        most = self.most_opset
        if self.opset is not None and most is not None and self.opset > most:
            raise InputError(
                f"ONNX Runtime {self.min_ort} reads no opset {self.opset}.",
                f"Leave --opset out, or use --opset {most}.",
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(
                f"A batch of {self.batch_size} holds no image.", "Use --batch-size 1 or more."
            )
