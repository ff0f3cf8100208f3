"""What is settled of a foreign ONNX file before anything is made of it: the input contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.data import Dataset, stand_in_images
from edgecnn.errors import InputError
from edgecnn.graph import foreign
from edgecnn.guard import let_in, memory_for
from edgecnn.importing.contract import Choice, Decision, Facts, decide
from edgecnn.importing.labelled import DataSource, decide_with_data
from edgecnn.importing.onnx_facts import (
    ImageInput,
    find_image,
    graph_facts,
    layout_guess,
    metadata_facts,
    output_facts,
)
from edgecnn.importing.proof import Outputs, run_original
from edgecnn.progress import Progress
from edgecnn.records import sha256
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    from onnx import ModelProto


# Enough to see what outputs look like, and whether their rows sum to 1.
_LOOKED_AT = 4


@dataclass(frozen=True)
class ForeignFile:
    """The foreign file, as it is.

    Attributes:
        path: Where it lies.
        model: What is in it, its weights included.
        image: Its input.
        sha256: Its digest.
    """

    path: Path
    model: ModelProto
    image: ImageInput
    sha256: str

    @property
    def batch(self) -> int:
        """The batch that it is run with: its own, or 1 where that is open."""
        return self.image.batch or 1

    @property
    def memory(self) -> int:
        """Bytes that the engine may take for it, beyond itself."""
        return self.batch * memory_for(self.model, self.path.parent)


@dataclass(frozen=True, eq=False)
class Known:
    """What is known before anything is made.

    Attributes:
        decision: The input contract.
        dataset: The data, if there is any.
        glance: What the file answers to a few drawn pictures, by name.
    """

    decision: Decision
    dataset: Dataset | None
    glance: Outputs

    @property
    def contract(self) -> InputContract:
        """How pictures become input."""
        return self.decision.contract


def read_foreign(path: Path, choice: Choice) -> ForeignFile:
    """Let a foreign file in, and find its picture.

    Raises:
        ModelError: It is refused, or takes something else than one float picture.
    """
    model = let_in(path)
    image = find_image(model, where=str(path), layout=choice.layout)
    foreign.take_in_weights(model, path.parent)
    return ForeignFile(path, model, image, sha256(path.read_bytes()))


def settle(
    file: ForeignFile, choice: Choice, source: DataSource | None, progress: Progress
) -> Known:
    """Settle the input contract of a file, and load the data in its form.

    Args:
        file: The file.
        choice: Fields of the contract that are given.
        source: Labelled images; None for none.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: Nobody knows the size of the input, or the contract contradicts the file.
        DataError: The data cannot be used, or is of other classes than the net.
    """
    facts = [graph_facts(file.image), *metadata_facts(file.model)]
    facts += [] if file.image.sure else [layout_guess(file.image)]
    draft = decide(choice, facts).contract
    _refuse_other_size(file, draft)
    looked = stand_in_images(draft, max(_LOOKED_AT, file.batch))
    outputs = run_original(file.path, draft, looked, file.batch, file.memory)
    answered = _answered(file, choice, outputs)
    decision, dataset = decide_with_data(
        choice,
        [*facts, answered],
        source,
        classes=_classes(outputs, answered, choice),
        progress=progress,
    )
    return Known(decision, dataset, outputs)


def _refuse_other_size(file: ForeignFile, contract: InputContract) -> None:
    image = file.image
    size, own = (contract.height, contract.width), (image.height, image.width)
    if any(b not in (None, a) for a, b in zip(size, own, strict=True)):
        raise InputError(
            f"{file.path} takes pictures of {own[0] or 'any'}x{own[1] or 'any'} pixels, not "
            f"{size[0]}x{size[1]}.",
            f"Use --input-size {own[0] or size[0]}x{own[1] or size[1]}.",
        )
    if contract.channels != image.channels:
        raise InputError(
            f"{file.path} takes {image.channels} channels, and {contract.color} has "
            f"{contract.channels}.",
            "Use --color gray." if image.channels == 1 else "Use --color rgb or --color bgr.",
        )


def _answered(file: ForeignFile, choice: Choice, outputs: Outputs) -> Facts:
    if choice.output is not None and choice.output not in outputs:
        raise InputError(
            f"{file.path} has no output '{choice.output}'.", f"It has {', '.join(outputs)}."
        )
    facts = output_facts(file.model, outputs, choice.output)
    if facts.choice.output_kind == "other" and choice.output_kind not in (None, "other"):
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in outputs.items())
        raise InputError(
            f"No output of {file.path} is a row of scores for each image ({shapes}), so it cannot "
            f"be {choice.output_kind}.",
            "Leave --output-kind out.",
        )
    return facts


def _classes(outputs: Outputs, answered: Facts, choice: Choice) -> int | None:
    if "other" in (answered.choice.output_kind, choice.output_kind):
        return None
    name = choice.output or answered.choice.output or next(iter(outputs))
    return int(outputs[name].shape[1])
