"""What goes into a model and what comes out: tensor specs, the input contract, data, variants."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecnn.errors import InputError

Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]
OutputKind = Literal["logits", "probabilities", "other"]
Precision = Literal["fp32", "int8", "fp16"]

_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of one input or output of a session.

    Attributes:
        name: The tensor's name in the graph.
        dtype: A NumPy dtype name, such as `uint8` or `float32`.
        shape: One entry for each axis: a size, or a name where the axis is open.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class OperatorRun:
    """One operator of the graph as an engine runs it, and how long it took.

    Attributes:
        name: The engine's name for it.
        operator: Its kind; of another domain than ONNX's own, `domain:kind`.
        inputs: What it reads of what others made; shapes are those of the last run.
        constants: What it reads that never changes.
        outputs: What it makes.
        times_ns: Its time in each run, in nanoseconds; the engine's clock may be coarser.
        finer_ns: Times of it that were found another way, with a finer clock and without what
            the engine's profile costs; noise may make them negative. Empty where there are none.
    """

    name: str
    operator: str
    inputs: tuple[TensorSpec, ...]
    constants: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    times_ns: list[int]
    finer_ns: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class InputContract:
    """How pictures become a model's input; written once, when the bundle is made.

    The float input is `(pixel * scale - mean) / std`, channel by channel, with mean and std as
    torchvision writes them, in the order of the channels.

    Attributes:
        height: Rows of the input, in pixels.
        width: Columns of the input, in pixels.
        color: What the channels of the pixels are: `rgb`, `bgr` or `gray` (one channel).
        scale: What a uint8 pixel is multiplied by.
        mean: Subtracted after scaling, one for each channel.
        std: Divided by last, one for each channel.
        resize: `stretch`, `crop N` (shorter side to N, then a centre crop) or `letterbox`.
        filter: Pillow's name of the resampling filter, such as `bilinear`.
        labels: Names of the classes in the order of the outputs; empty if unknown.
        output_kind: What the outputs are: `logits`, `probabilities` or `other`.
        layout: Axes of the float input behind the preprocessing: `nchw` or `nhwc`.
        output: Name of the output that holds the scores of the classes; empty for the first.
    """

    height: int
    width: int
    color: Color = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = "stretch"
    filter: str = "bilinear"
    labels: tuple[str, ...] = ()
    output_kind: OutputKind = "logits"
    layout: Layout = "nchw"
    output: str = ""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InputError(f"An input of {self.height}x{self.width} pixels has no pixels.")
        wrong = {"mean": self.mean, "std": self.std}
        wrong = {name: given for name, given in wrong.items() if len(given) != self.channels}
        if wrong:
            name, given = next(iter(wrong.items()))
            flags = " ".join(
                f"--{each} " + ",".join([f"{one[0]:g}" if len(one) == 1 else "0.5"] * self.channels)
                for each, one in wrong.items()
            )
            raise InputError(
                f"{name} has {len(given)} {'value' if len(given) == 1 else 'values'}, but "
                f"{self.color} has {self.channels} "
                f"{'channel' if self.channels == 1 else 'channels'}.",
                f"Give one for each channel, such as `{flags}`.",
            )
        if not all(0 < value < math.inf for value in (self.scale, *self.std)):
            raise InputError(
                "scale or std has a value that is not a number above zero.", "Give the true ones."
            )
        if not all(map(math.isfinite, self.mean)):
            raise InputError("mean has a value that is no number.", "Give the true mean.")
        self._check_resize()
        self._check_labels()

    def _check_labels(self) -> None:
        # Printed, they could move a terminal's cursor or rewrite what stands on it.
        bad = [name for name in self.labels if any(unicodedata.category(c) == "Cc" for c in name)]
        if bad:
            raise InputError(
                f"The class name {bad[0]!r} holds a control character.",
                "Name the class's folder, or its line in the labels, without it.",
            )

    def _check_resize(self) -> None:
        rule = re.fullmatch(r"stretch|letterbox|crop ([1-9]\d*)", self.resize)
        if rule is None:
            raise InputError(
                f"'{self.resize}' is no resize rule.", "Use stretch, letterbox or 'crop N'."
            )
        if rule[1] and int(rule[1]) < max(self.height, self.width):
            raise InputError(
                f"'{self.resize}' leaves pictures smaller than {self.height}x{self.width} pixels.",
                f"Use 'crop {max(self.height, self.width)}' or more.",
            )
        if self.filter not in _FILTERS:
            raise InputError(
                f"'{self.filter}' is no resampling filter.", f"Use one of {', '.join(_FILTERS)}."
            )

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return 1 if self.color == "gray" else 3

    @property
    def pixel_shape(self) -> tuple[int, int, int]:
        """Shape of one image as pixels: (height, width, channels)."""
        return (self.height, self.width, self.channels)

    @property
    def float_shape(self) -> tuple[int, int, int]:
        """Shape of one image as float input: (channels, height, width), or as its pixels."""
        height, width, channels = self.pixel_shape
        return (channels, height, width) if self.layout == "nchw" else (height, width, channels)


@dataclass(frozen=True)
class DataRef:
    """Which data a bundle was made from, so that later commands find the same images.

    Attributes:
        source: `synthetic`, `cifar10`, or an absolute path.
        name: Short name, such as `cifar10`; the key of a recipe's `accuracy`.
        seed: Seed of rendering.
        test_fraction: Share of images that a single folder of classes gives to the test split.
        labels_file: A file with the class names in order, or empty.
        data_dir: Where downloaded data lies, or empty.
        skip_broken: Broken images were left out.
        train_images: Size of the training split.
        test_images: Size of the test split.
        train_sha256: Digest of the training images and labels.
        test_sha256: Digest of the test images and labels.
    """

    source: str
    name: str
    seed: int
    test_fraction: float
    labels_file: str
    data_dir: str
    skip_broken: bool
    train_images: int
    test_images: int
    train_sha256: str
    test_sha256: str


@dataclass(frozen=True)
class Parent:
    """What a variant was made from: a file of the bundle, and its digest at that time."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Tolerance:
    """How far one output of a variant may lie from the golden one.

    Attributes:
        atol: Largest absolute error against the float64 golden outputs; None where the variant is
            not gated on it.
        sqnr_db: Least signal-to-quantization-noise ratio in dB; None where not gated on it.
        top1: Least share (0 to 1) of golden images with the same top-1 answer; None likewise.
        bit_exact: Every CPU gives the variant's own expected outputs bit for bit.
    """

    atol: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    bit_exact: bool = False

    def __post_init__(self) -> None:
        atol, top1, sqnr = self.atol or 0.0, self.top1 or 0.0, self.sqnr_db or 0.0
        if not (0 <= atol < math.inf and 0 <= top1 <= 1 and sqnr < math.inf):
            raise InputError(
                f"{self} holds a number that is no limit.", "Make the variant or bundle anew."
            )


@dataclass(frozen=True)
class Verdict:
    """`pass`, `fail` or `inconclusive`, and why."""

    outcome: Literal["pass", "fail", "inconclusive"]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """One deployable form of a model.

    In a manifest `files` are names inside the bundle; once located (`Bundle.locate`, `plain_file`)
    they are paths that exist. Code dispatches on `format`, never on `name`.

    Attributes:
        name: Its name in the bundle, such as `fp32`.
        precision: Number format of weights and activations.
        format: What a runtime must read: `onnx`, …
        files: The files, the one to open first.
        preprocessing: True if uint8 NHWC pixels go in; False if float32 in the contract's layout,
            already normalised.
        batch: `dynamic`, or the one batch size that the file takes.
        parent: What it was made from; None for a plain file.
        made_by: The command that makes it anew.
        golden: The file with its own expected outputs; None for a plain file.
        tolerances: How far each output, by its name, may lie from the golden one.
        settings: What it was made with (opset, quantization scheme, …), as text.
        verdict: What was found when it was made; None if nothing was gated.
    """

    name: str
    precision: Precision
    format: str
    files: tuple[str, ...]
    preprocessing: bool = True
    batch: Literal["dynamic"] | int = "dynamic"
    parent: Parent | None = None
    made_by: str = ""
    golden: str | None = None
    tolerances: dict[str, Tolerance] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def path(self) -> Path:
        """The file to open first."""
        return Path(self.files[0])


@dataclass(frozen=True)
class Converted:
    """What a runtime made of a variant: files in its own format, in the folder that it was given.

    Attributes:
        files: Their names, the one to open first in front.
        batch: `dynamic`, or the one batch size that they take.
        preprocessing: True if uint8 NHWC pixels go in; False if float32 in the contract's layout,
            already normalised.
        precision: Number format of the weights; None for the source's.
        settings: What they were made with, such as versions and options, as text.
    """

    files: tuple[str, ...]
    batch: Literal["dynamic"] | int = "dynamic"
    preprocessing: bool = True
    precision: Precision | None = None
    settings: dict[str, str] = field(default_factory=dict)


def check_inputs(specs: tuple[TensorSpec, ...], inputs: Mapping[str, Any]) -> None:
    """Refuse inputs that an engine would take and answer with nonsense.

    Raises:
        InputError: An input is missing, unknown, or of the wrong dtype, shape or content.
    """
    wanted = {spec.name for spec in specs}
    if wanted != inputs.keys():
        raise InputError(
            f"The inputs are called {', '.join(sorted(wanted))}, "
            f"but {', '.join(sorted(inputs)) or 'nothing'} was given.",
            "Name each input as the model does.",
        )
    for spec in specs:
        _check_input(spec, inputs[spec.name])


def _check_input(spec: TensorSpec, value: Any) -> None:
    import numpy as np

    if not isinstance(value, np.ndarray):
        raise InputError(f"Input {spec} was given a {type(value).__name__}.", "Give a NumPy array.")
    if value.dtype != np.dtype(spec.dtype):  # a foreign byte order differs too
        raise InputError(
            f"Input {spec} was given {value.dtype.str} ({value.dtype}).",
            f"Convert it with `.astype('{spec.dtype}')`.",
        )
    fits = len(value.shape) == len(spec.shape) and all(
        isinstance(want, str) or want == have
        for want, have in zip(spec.shape, value.shape, strict=True)
    )
    if not fits or 0 in value.shape:
        raise InputError(f"Input {spec} was given the shape {list(value.shape)}.", "Reshape it.")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise InputError(f"Input {spec} holds NaN or infinity.", "Check where it comes from.")
