"""What was converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.agreement import Agreement
from edgecnn.agreement.gates import Gate
from edgecnn.spec import Precision, Tolerance


@dataclass(frozen=True)
class ConvertedOutput:
    """How near one output lies to the golden one.

    Attributes:
        agreement: What was measured.
        gates: What was asked, and what was found.
        tolerance: What `edgecnn parity` allows from now on.
    """

    agreement: Agreement
    gates: tuple[Gate, ...]
    tolerance: Tolerance


@dataclass(frozen=True)
class ConvertReport:
    """What was converted, and the proof that it answers the same.

    Attributes:
        bundle: The bundle's folder.
        variant: Name of the new variant.
        format: Its format.
        source: The variant that it was made from.
        precision: Number format of its weights.
        batch: `dynamic`, or the one batch size it takes.
        preprocessing: It takes uint8 NHWC pixels; otherwise normalised floats.
        files: Size in bytes of each of its files, by name, the one to open first in front.
        runtime: The runtime that made it, and that it was proved on.
        provider: Where it was proved.
        versions: Versions of the packages that the runtime uses.
        options: The converter's options that were given.
        settings: What the converter says of how it was made.
        convert_seconds: Time that the conversion took.
        time_limit_seconds: What it might have taken.
        memory_limit_bytes: What it might have taken; for each of its processes.
        images: Golden images that it was run on.
        stand_in: They are stand-ins, not from the data that the net is made for.
        outputs: What was found of each output, by its name.
        stale: Variants that must be made anew because this one changed.
    """

    KIND: ClassVar[str] = "convert"

    bundle: str
    variant: str
    format: str
    source: str
    precision: Precision
    batch: Literal["dynamic"] | int
    preprocessing: bool
    files: dict[str, int]
    runtime: str
    provider: str
    versions: dict[str, str]
    options: dict[str, str]
    settings: dict[str, str]
    convert_seconds: float
    time_limit_seconds: float
    memory_limit_bytes: int
    images: int
    stand_in: bool
    outputs: dict[str, ConvertedOutput]
    stale: tuple[str, ...]
