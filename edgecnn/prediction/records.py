"""What a model says of pictures, as JSON has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from edgecnn.options import FP32
from edgecnn.prediction.stream import Found, Predictions
from edgecnn.predictor import Answer


@dataclass(frozen=True)
class OutputValues:
    """One output for one picture.

    Attributes:
        shape: Its shape, without the batch.
        dtype: Its type, such as `float32`.
        values: Its values, in lists as deep as it has axes.
    """

    shape: tuple[int, ...]
    dtype: str
    values: Any


@dataclass(frozen=True)
class PictureRecord:
    """What a model says of one picture; a line of `--jsonl`.

    Attributes:
        image: Its path, or `-` for a picture from stdin.
        ranked: The likeliest classes, the likeliest first; empty if the outputs are no classes.
        outputs: The outputs that hold no scores of classes, by their names.
        notes: What should be known of how the picture was read.
        error: Why there is no answer; empty if there is one.
    """

    KIND: ClassVar[str] = "predict-line"

    image: str
    ranked: tuple[Answer, ...]
    outputs: dict[str, OutputValues]
    notes: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class PredictReport:
    """What a variant says of some pictures.

    Attributes:
        bundle: The bundle's folder.
        variant: The variant that answers.
        runtime: The runtime that runs it.
        provider: Where it computes, as the runtime reports it.
        labels: Names of the classes; empty if they are unknown.
        measured: SHA-256 of the variant's files, by name.
        precision: What float32 operators compute in, as the runtime reports it.
        options: The runtime's own options that were given.
        images: One for each picture; last, as they are streamed.
    """

    KIND: ClassVar[str] = "predict"
    VERSION: ClassVar[int] = 2

    bundle: str
    variant: str
    runtime: str
    provider: str
    labels: tuple[str, ...]
    measured: dict[str, str]
    # A report of version 1 has none of these.
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)
    images: tuple[PictureRecord, ...] = ()


def without_pictures(predictions: Predictions) -> PredictReport:
    """Give the record of some predictions, before the first picture is read."""
    return PredictReport(**{**vars(predictions), "images": ()})


def to_plain(found: Found) -> PictureRecord:
    """Give what was found as JSON has it; outputs with their shape and dtype."""
    outputs = {
        name: OutputValues(value.shape, str(value.dtype), value.tolist())
        for name, value in found.outputs.items()
    }
    return PictureRecord(found.image, found.ranked, outputs, found.notes, found.error)
