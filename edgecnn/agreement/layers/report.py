"""What `edgecnn parity --layers` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.records import MaybeInfinite
from edgecnn.spec import Verdict

Rule = Literal["float", "8 bits", "steps"]


@dataclass(frozen=True)
class LayerDifference:
    """How far one tensor of one side lies from the same one of the other.

    Attributes:
        tensor: Its name in the first graph.
        layer: The layer that computes it, as the model calls it.
        operator: What that layer does, such as `Conv`.
        max_abs: Largest absolute difference of one value.
        largest: Largest absolute value on the first side, in the same unit.
        sqnr_db: Power of the first side's values over that of the difference, in dB; infinite if
            nothing differs, which JSON writes as null.
        roundings: The difference in units of what rounding explains; see `LayerComparison`.
        not_finite: Values that are NaN or infinite on one side and not on the other.
        parts: It differs by more than rounding.
    """

    tensor: str
    layer: str
    operator: str
    max_abs: float
    largest: float
    sqnr_db: MaybeInfinite
    roundings: MaybeInfinite
    not_finite: int
    parts: bool


@dataclass(frozen=True)
class LayerComparison:
    """Two sides, tensor by tensor.

    By the rule `float`, one unit is the largest distance from the same tensor in float64, on the
    side that is nearer to it, and at least the spacing of the coarser side's floats at the tensor's
    largest value; 16 are rounding. By `8 bits` (fp32 against int8), what counts is the distance of
    int8's tensor from what the layer gives in fp32 for int8's own inputs: root mean square, in
    units of that of rounding the tensor's range to 256 steps, and 4 are rounding. By `steps` (int8
    against int8), rounding tips single values over to the next step: one unit is the noise, as an
    amplitude, against float64 between the roundings, and 2 are rounding.

    Attributes:
        first: What is compared: the variant or file, and where it ran.
        second: With what.
        rule: What is rounding: see above.
        limit: More units than that are not explained by rounding.
        tensors: In the first graph's order.
        parted: Name of the first tensor at which they part; None if they do not.
        alone: Inner tensors of the first side that the second has not.
        others_alone: The other way round.
        moved: For each side, the largest absolute difference in an output between the file as it is
            and its copy that shows inner tensors; engines fuse less in such a copy.
        outputs_part: The outputs of the files as they are differ by more than rounding; by the rule
            `8 bits`, by more than twice as much as those of the copies.
        copies_part: The same of the copies' outputs.
        verdict: `fail` where they part, `inconclusive` where only the files as they are do, or
            only the copies.
    """

    first: str
    second: str
    rule: Rule
    limit: float
    tensors: tuple[LayerDifference, ...]
    parted: str | None
    alone: int
    others_alone: int
    moved: tuple[float, float]
    outputs_part: bool
    copies_part: bool
    verdict: Verdict


@dataclass(frozen=True)
class LayersReport:
    """Where models part, tensor by tensor.

    Attributes:
        inputs: `golden vectors`; of plain files `random inputs`, `no inputs` or the name of the
            user's file.
        seed: Seed of random inputs; None for others.
        images: How many inputs were looked at.
        comparisons: One for each pair of sides.
        measured: SHA-256 of every file that was run, by name.
        verdict: The worst of the comparisons' verdicts, with its reasons.
        notes: What should be known of the comparison, in whole sentences.
    """

    KIND: ClassVar[str] = "parity-layers"

    inputs: str
    seed: int | None
    images: int
    comparisons: tuple[LayerComparison, ...]
    measured: dict[str, str]
    verdict: Verdict
    notes: tuple[str, ...] = ()
