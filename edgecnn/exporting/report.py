"""What was exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecnn.quantization import QuantizeReport


@dataclass(frozen=True)
class Proof:
    """How closely a file agrees with torch in float64 on real images.

    Attributes:
        images: Images that were run.
        batches: The batch sizes at which all of them were run.
        largest_error: Largest absolute difference of an output.
        allowed_error: 16 times what torch itself errs by in float32.
        atol: 16 times the largest error: what `edgecnn parity` allows the file from now on.
    """

    images: int
    batches: tuple[int, ...]
    largest_error: float
    allowed_error: float
    atol: float


@dataclass(frozen=True)
class ExportReport:
    """What was exported, and the proof that it is right.

    Attributes:
        bundle: The bundle's folder.
        variant: Name of the variant.
        file: The file's name in the bundle.
        sha256: Its digest.
        size: Its size in bytes.
        opset: Version of ONNX's operators in it.
        ir_version: Version of ONNX's format.
        preprocessing: It takes uint8 NHWC pixels; otherwise float32 NCHW.
        batch: `dynamic`, or the one batch size it takes.
        operators: Its operators in all.
        proof: How closely it agrees with torch in float64.
        golden_written: The bundle had no golden vectors, and has them now.
        stale: Variants that must be made anew because this one changed.
        int8: What quantizing it found; None if it was not quantized.
    """

    bundle: str
    variant: str
    file: str
    sha256: str
    size: int
    opset: int
    ir_version: int
    preprocessing: bool
    batch: Literal["dynamic"] | int
    operators: int
    proof: Proof
    golden_written: bool
    stale: tuple[str, ...]
    int8: QuantizeReport | None = None
