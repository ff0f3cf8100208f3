"""What the audit found."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records import MaybeInfinite


@dataclass(frozen=True)
class SaturatedLayer:
    """One layer, with the inputs that it gets on a CPU that saturates.

    Attributes:
        layer: The model's layer.
        pairs: Sums of two products that it computed.
        saturated: Those that went beyond 16 bits.
        largest_pair_sum: The largest |sum of two products|; above 32,767 it saturates.
        outputs: Numbers that it made.
        changed_outputs: Those that saturation changed, from the same inputs.
    """

    layer: str
    pairs: int
    saturated: int
    largest_pair_sum: int
    outputs: int
    changed_outputs: int


@dataclass(frozen=True)
class SaturationReport:
    """What some images answer on a CPU that adds two products in 16 bits, replayed in integers.

    It proves nothing for other images: only the largest pair sum that the weights allow does.

    Attributes:
        images: How many images were replayed.
        layers: Each layer that uses the saturating instruction, in the order of the graph.
        changed: Images whose outputs saturation changes in at least one bit.
        flips: Images whose likeliest class it changes; None where outputs are no classes.
        largest_error: The largest difference that it makes in an output.
        here_saturates: ONNX Runtime saturates on the CPU that made this report.
        confirmed: Images that the replay of this CPU answers to the bit as ONNX Runtime does on it.
        not_replayed: Operators that may saturate too, and that ran as this CPU runs them.
    """

    images: int
    layers: tuple[SaturatedLayer, ...]
    changed: int
    flips: int | None
    largest_error: MaybeInfinite
    here_saturates: bool
    confirmed: int
    not_replayed: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """Sums of two products in all layers."""
        return sum(layer.pairs for layer in self.layers)

    @property
    def saturated(self) -> int:
        """Those of them that went beyond 16 bits."""
        return sum(layer.saturated for layer in self.layers)
