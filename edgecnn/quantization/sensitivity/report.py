"""What a sensitivity analysis found: how much each tensor's rounding changes the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.quantization.distance import Distance
from edgecnn.quantization.sensitivity.tensors import Kind
from edgecnn.stats import Interval


@dataclass(frozen=True)
class Effect:
    """What it does to the answers to round one tensor as int8 does, and nothing else.

    Attributes:
        tensor: Its name in the prepared float core.
        kind: `input` (the image), `activation` or `weights`.
        layer: The layer that computes it or, of weights, uses them; empty for the image.
        distance: How far the answers move from those of fp32.
        error: What ranks it, with a 95 % interval: the margin error or, where outputs are no
            classes, noise over signal of the worst output.
        flips: Share (0 to 1) of images with another likeliest class, with Wilson's 95 % interval;
            None where outputs are no classes.
        share: Its error squared over the sum of all, 0 to 1: independent errors add up in squares.
        in_float: Layers that must stay in float for this tensor to stay in float: whatever touches
            it.
    """

    tensor: str
    kind: Kind
    layer: str
    distance: Distance
    error: Interval
    flips: Interval | None
    share: float
    in_float: tuple[str, ...]


@dataclass(frozen=True)
class OperatorTime:
    """The operator that computes a layer, in one of the two files.

    Attributes:
        operator: Its kind, such as `Conv` or `com.microsoft:QLinearConv`.
        seconds: Its time in one run.
        layers: All layers that it computes.
        leads: The layer is the first of these: to that one its time is counted.
    """

    operator: str
    seconds: float
    layers: tuple[str, ...]
    leads: bool


@dataclass(frozen=True)
class LayerTime:
    """A layer's time in both precisions, from one run with the runtime's own profile.

    Attributes:
        layer: Its name.
        fp32: What computes it in fp32; None if it needs no operator.
        int8: The same in int8.
    """

    layer: str
    fp32: OperatorTime | None
    int8: OperatorTime | None


@dataclass(frozen=True)
class SensitivityReport:
    """How much each tensor's rounding changes the answers, beside the time of its layer.

    Attributes:
        bundle: The bundle's folder.
        variant: The fp32 variant.
        file: Its file's name in the bundle.
        sha256: The file's digest.
        scheme: How int8 is quantized.
        calibration: How ranges were taken from the calibration images.
        corrections: What was done to weights and biases afterwards, in order.
        calibration_images: Images of the training split that set the scales.
        data: Short name of the data.
        images: Other images of the training split, on which the answers were compared.
        classes: The first output is a row of scores.
        whole: How far the whole int8 net's answers lie from those of fp32, on the same images.
        whole_error: What ranks the effects, of the whole int8 net.
        effects: One for each quantized tensor, the largest error first.
        layers: The time of each layer that an effect names, in the order of the graph.
        fp32_seconds: Latency of the whole fp32 net.
        int8_seconds: Latency of the whole int8 net.
        threads: Threads of the sessions whose times these are.
    """

    KIND: ClassVar[str] = "sensitivity"

    bundle: str
    variant: str
    file: str
    sha256: str
    scheme: str
    calibration: str
    corrections: tuple[str, ...]
    calibration_images: int
    data: str
    images: int
    classes: bool
    whole: Distance
    whole_error: Interval
    effects: tuple[Effect, ...]
    layers: tuple[LayerTime, ...]
    fp32_seconds: float
    int8_seconds: float
    threads: int

    def cost_seconds(self, layers: tuple[str, ...]) -> float:
        """Estimate what it costs to leave some layers in float, without the conversions it adds.

        It is their time in fp32 less their time in int8; below 0 where int8 is the slower one.
        """
        wanted = [each for each in self.layers if each.layer in layers]
        return sum(_own(each.fp32) - _own(each.int8) for each in wanted)


def _own(time: OperatorTime | None) -> float:
    return time.seconds if time is not None and time.leads else 0.0
