"""What was exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.exporting.half import HalfReport
from edgecnn.quantization import QuantizeReport
from edgecnn.spec import Layout


@dataclass(frozen=True)
class OutputProof:
    """How closely one output of a file agrees with float64.

    Attributes:
        largest_error: Largest absolute difference.
        allowed_error: 16 times what the original itself errs by in float32.
        atol: 16 times the largest error: what `edgecnn parity` allows the file from now on.
    """

    largest_error: float
    allowed_error: float
    atol: float


@dataclass(frozen=True)
class Proof:
    """How closely a file agrees with float64 on the golden images.

    Attributes:
        images: Images that were run.
        batches: The batch sizes at which all of them were run.
        outputs: What was found of each output, by its name.
    """

    images: int
    batches: tuple[int, ...]
    outputs: dict[str, OutputProof]


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
        preprocessing: It takes uint8 NHWC pixels; otherwise normalised floats.
        layout: Axes of these floats: `nchw` or `nhwc`.
        batch: `dynamic`, or the one batch size it takes.
        operators: Its operators in all.
        original: What computed the float64 that it was held against: `torch`, or
            `the imported file`.
        proof: How closely it agrees with that.
        stand_in: The golden images are stand-ins, not from the data that the net is made for.
        golden_written: The bundle had no golden vectors, and has them now.
        stale: Variants that must be made anew because this one changed.
        int8: What quantizing it found; None if it was not quantized.
        fp16: What halving its precision found; None if that was not asked for.
    """

    KIND: ClassVar[str] = "export"
    VERSION: ClassVar[int] = 2  # int8's report is of version 2

    bundle: str
    variant: str
    file: str
    sha256: str
    size: int
    opset: int
    ir_version: int
    preprocessing: bool
    layout: Layout
    batch: Literal["dynamic"] | int
    operators: int
    original: str
    proof: Proof
    stand_in: bool
    golden_written: bool
    stale: tuple[str, ...]
    int8: QuantizeReport | None = None
    fp16: HalfReport | None = None
