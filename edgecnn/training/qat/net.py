"""A quantized core as a PyTorch net: what is trained is the very graph that the file holds.

Every QuantizeLinear rounds in float and lets gradients through; every weight that a
DequantizeLinear makes is rounded from a float one that learns. The logarithms of the scales learn,
so that a step changes a scale by a share of itself (S. Jain et al., Trained Quantization
Thresholds, MLSys 2020). Zero points stay as they were calibrated. Biases are rounded to the steps
of their operator's sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from edgecnn.training.qat.operators import OPERATORS
from edgecnn.training.qat.rounding import round_activations, round_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.spec import Layout
    from edgecnn.training.qat.reading import Program, Quantized, Rounding, Step


class QdqNet(nn.Module):
    """A quantized core whose rounding lets gradients through.

    [N, channels, height, width] normalised floats in, whatever the layout of the core; its first
    output out.

    Args:
        program: The quantized core, read.
        layout: Axes of the core's input.
    """

    def __init__(self, program: Program, layout: Layout) -> None:
        super().__init__()
        self.program, self._layout = program, layout
        # Names of tensors hold dots, which names of parameters may not.
        self._tensors, self._scales = nn.ParameterList(), nn.ParameterList()
        self._places = {name: place for place, name in enumerate(program.learned)}
        self._scale_places = {name: place for place, name in enumerate(program.scales)}
        self._held = {name: f"constant{place}" for place, name in enumerate(program.constants)}
        for array in program.learned.values():
            self._tensors.append(nn.Parameter(_tensor(array)))
        for array in program.scales.values():
            self._scales.append(nn.Parameter(_tensor(array).log()))
        for name, array in program.constants.items():
            self.register_buffer(self._held[name], _tensor(array))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute what the file computes."""
        values = {self.program.input: x if self._layout == "nchw" else x.permute(0, 2, 3, 1)}
        for step in self.program.steps:
            inputs = [self._read(name, values) for name in step.inputs]
            values[step.output] = self._run(step, inputs)
            for name in step.frees:
                del values[name]
        return values[self.program.output]

    def scale(self, name: str) -> torch.Tensor:
        """Give a scale by the name of its constant: float32 [] or [channels]."""
        logarithm: torch.Tensor = self._scales[self._scale_places[name]]
        return logarithm.exp()

    def learned(self, name: str) -> torch.Tensor:
        """Give weights or biases as float32, by the name that the program has for them."""
        found: torch.Tensor = self._tensors[self._places[name]]
        return found

    def bias_scale(self, place: Quantized) -> torch.Tensor:
        """Give the scale of a bias: that of its operator's inputs times that of its weights."""
        product = self.scale(place.inputs_scale) * self.scale(place.weights_scale)
        return product * self._constant(place.scale)

    def spread(self, how: Rounding, axes: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give scale and zero point of weights in a shape that spreads over their axes."""
        scale, zero_point = self.scale(how.scale), self._constant(how.zero_point)
        if how.axis is None:
            return scale, zero_point
        shape = [1] * axes
        shape[how.axis] = -1
        return scale.reshape(shape), zero_point.reshape(shape)

    @torch.no_grad()
    def set_scales(self, scales: Mapping[str, float]) -> None:
        """Set scales of activations by the names of their constants."""
        for name, scale in scales.items():
            self._scales[self._scale_places[name]].fill_(float(np.log(scale)))

    def _read(self, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        return self.learned(name) if name in self._places else self._constant(name)

    def _constant(self, name: str) -> torch.Tensor:
        held: torch.Tensor = getattr(self, self._held[name])
        return held

    def _run(self, step: Step, inputs: list[torch.Tensor | None]) -> torch.Tensor:
        if step.operator:
            return OPERATORS[step.operator](step.settings, *inputs)
        [x] = inputs
        assert x is not None
        how = step.rounding
        if step.inputs[0] in self.program.biases:
            scale = self.bias_scale(self.program.biases[step.inputs[0]]).detach()
            return x + ((x / scale).round() * scale - x).detach()
        if how is None:
            return x
        if step.inputs[0] in self.program.weights:
            return round_weights(x, *self.spread(how, x.ndim), how.low, how.high)
        zero_point = self._constant(how.zero_point)
        return round_activations(x, self.scale(how.scale), zero_point, how.low, how.high)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
