"""What was imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.bundle import ModelRef
from edgecnn.importing.detection import Detection
from edgecnn.spec import DataRef, InputContract


@dataclass(frozen=True)
class OnnxProof:
    """How closely the bundle's variant answers as the original ONNX file does.

    Attributes:
        images: Images that both were given.
        stand_in: They are drawn, for there was no data.
        batches: Batch sizes at which the variant answered all of them; the original took them one
            by one, or in its fixed batch.
        largest_difference: Largest absolute difference of each output, by its name.
    """

    images: int
    stand_in: bool
    batches: tuple[int, ...]
    largest_difference: dict[str, float]

    @property
    def sentence(self) -> str:
        """What was proved, for people."""
        kind = "drawn images" if self.stand_in else "images"
        at = ", ".join(map(str, self.batches))
        largest = max(self.largest_difference.values())
        return (
            f"Proved: it answers as the file itself does, to {self.images} {kind}, at batch {at} "
            f"(largest difference {largest:.1e})."
        )


@dataclass(frozen=True)
class ImportReport:
    """What was imported, and what was taken for granted.

    Attributes:
        bundle: The bundle's folder.
        source: The model's source, or the path of the ONNX file.
        weights: The file with the weights; empty where they came with the model.
        sha256: Digest of the file that was read: the weights or the ONNX file.
        model: The PyTorch net; None for an ONNX file.
        parameters: Numbers in its weights.
        outputs: Shape of each output for one image, by its name; an axis is 0 where it is open.
        contract: How pictures become input.
        sources: Where each field of the contract comes from, by the name of its flag.
        contract_lines: The same as lines for people.
        notes: What was unwrapped, filled in, changed or left out.
        data: The data that the bundle is judged on; None without any.
        variants: The variants that the bundle has already.
        detection: What the detective found; None without labelled data, or where the outputs are
            no scores.
        proof: That the bundle's variant answers as the original file; None for a PyTorch net, whose
            files `edgecnn export` proves.
    """

    KIND: ClassVar[str] = "import"

    bundle: str
    source: str
    weights: str
    sha256: str
    model: ModelRef | None
    parameters: int
    outputs: dict[str, tuple[int, ...]]
    contract: InputContract
    sources: dict[str, str]
    contract_lines: tuple[str, ...]
    notes: tuple[str, ...] = ()
    data: DataRef | None = None
    variants: tuple[str, ...] = ()
    detection: Detection | None = None
    proof: OnnxProof | None = None
