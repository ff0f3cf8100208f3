"""What quantizing found: what int8 costs, and what it gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.agreement import Agreement
from edgecnn.benchmark import LatencyComparison
from edgecnn.evaluation import PairedAccuracy
from edgecnn.quantization.calibration.choosing import Choices
from edgecnn.quantization.calibration.spread import Spread
from edgecnn.quantization.fastest import Fastest
from edgecnn.quantization.mixed import Mixed
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.saturation import SaturationReport
from edgecnn.quantization.tensors import TensorLoss
from edgecnn.quantization.verdict import Work
from edgecnn.spec import Tolerance, Verdict
from edgecnn.stats import Interval


@dataclass(frozen=True)
class Side:
    """What was measured of one of the two variants.

    Attributes:
        variant: Its name.
        correct: Test images that it recognised; None where outputs are no classes.
        accuracy: Their share (0 to 1) with Wilson's 95 % interval; None likewise.
        size: Size of its file in bytes.
        median_seconds: Median latency at batch 1, or at the variant's own fixed batch.
    """

    variant: str
    correct: int | None
    accuracy: Interval | None
    size: int
    median_seconds: float


@dataclass(frozen=True)
class QuantizeReport:
    """What was quantized, how, and what it costs and gains.

    Attributes:
        bundle: The bundle's folder.
        file: The new file's name in the bundle.
        sha256: Its digest.
        scheme: How it was quantized.
        calibration_images: Images of the training split that set the ranges.
        data: Short name of the data.
        test_images: Images of the test split that both were measured on.
        fp32: The variant it was made from.
        int8: The new variant.
        paired: Both on the same images: what was lost, and how often they agree; None where
            outputs are no classes.
        agreement: How far each output of int8, by its name, lies from the golden one.
        stand_in: The golden images are stand-ins, not from the data that the net is made for.
        latency: Both in turn, each in a process of its own.
        work: What ONNX Runtime does for one image.
        largest_pair_sum: Largest sum of two products of a layer; above 32,767 AVX2 saturates.
        uneven_operators: Integer operators that CPUs may round differently.
        tolerances: What `edgecnn parity` allows each output from now on, by its name.
        max_drop: Largest loss of accuracy allowed (0.005 is half a point); None if not named.
        gate: Whether the loss is within that, and `min_sqnr` reached; None if neither was named.
        verdict: Whether int8 is worth having.
        plan: How it was quantized; None in reports of version 1, as all that follows.
        scheme_reason: Why this scheme, and what it costs.
        cpus: The CPUs that it was made for.
        at_risk: Those of them on which products of bytes may saturate.
        choices: The candidates on the selection images.
        spread: What other draws of calibration images gave; None if not asked for.
        mixed: Which layers stay in float, and why; None if not asked for.
        fastest: Which scheme is the fastest on this machine; None if not asked for.
        saturation: What a CPU that saturates would answer; None where the weights rule it out.
        min_sqnr: Least signal-to-quantization-noise ratio wanted, in dB; None if not named.
        tensors: How far each tensor lies from fp32, in the order of the graph.
    """

    KIND: ClassVar[str] = "quantize"
    VERSION: ClassVar[int] = 2

    bundle: str
    file: str
    sha256: str
    scheme: str
    calibration_images: int
    data: str
    test_images: int
    fp32: Side
    int8: Side
    paired: PairedAccuracy | None
    agreement: dict[str, Agreement]
    stand_in: bool
    latency: LatencyComparison
    work: Work
    largest_pair_sum: int
    uneven_operators: tuple[str, ...]
    tolerances: dict[str, Tolerance]
    max_drop: float | None
    gate: Verdict | None
    verdict: Verdict
    plan: Plan | None = None
    scheme_reason: str = ""
    cpus: tuple[str, ...] = ()
    at_risk: tuple[str, ...] = ()
    choices: Choices | None = None
    spread: Spread | None = None
    mixed: Mixed | None = None
    fastest: Fastest | None = None
    saturation: SaturationReport | None = None
    min_sqnr: float | None = None
    tensors: tuple[TensorLoss, ...] = ()

    @property
    def bit_exact(self) -> bool:
        """Whether every CPU gives the same outputs bit for bit."""
        return all(tolerance.bit_exact for tolerance in self.tolerances.values())
