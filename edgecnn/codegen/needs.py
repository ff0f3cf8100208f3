"""What a net needs of a device: flash, RAM and stack; and the refusal of one that cannot fit.

Weights, tables, the arena, the image and the answer are counted exactly. Code and stack are
estimates, taken from what arm-none-eabi-gcc 12.2 at -O2 makes for a Cortex-M4 of the nets lenet,
resnet8, resnet20, mobilenet-tiny and mobilenet_v2, in fp32 and int8, which they exceed by at most
two fifths; a Cortex-M0 takes up to three times the code. `edgecnn bench --board` measures both.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.codegen.planning import Plan
from edgecnn.codegen.program import ITEM_BYTES, Layer, Program, Tensor
from edgecnn.errors import ModelError

_WINOGRAD = "winograd_f32"
_CODE_BYTES = {_WINOGRAD: 4500}
# For each place of the window of a pool that a convolution takes in.
_POOLING_BYTES = {"conv_f32": 900, "conv_u8": 300}
_FLOATS_BYTES, _INTEGERS_BYTES, _OTHER_BYTES, _AROUND_BYTES = 650, 500, 200, 300
_STACK_BYTES, _WINOGRAD_STACK_BYTES = 512, 1024
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Needs:
    """Bytes that a net needs.

    Attributes:
        constants: Weights and tables, in flash.
        code: Instructions, in flash; an estimate.
        arena: Activations, in RAM.
        input: The image, in RAM.
        outputs: The answer, in RAM.
        stack: An estimate.
        winograd: It has layers that save products and take more memory for that.
        largest_weights: The layer with the most weights, as people read it, and its share.
        largest_tensor: The layer with the most numbers to read and to write, as people read it.
    """

    constants: int
    code: int
    arena: int
    input: int
    outputs: int
    stack: int
    winograd: bool
    largest_weights: str
    largest_tensor: str

    @property
    def flash(self) -> int:
        """All that lies in flash."""
        return self.constants + self.code

    @property
    def ram(self) -> int:
        """All that lies in RAM, with the stack."""
        return self.arena + self.input + self.outputs + self.stack


def needs(program: Program, plan: Plan, weights: bytes | None) -> Needs:
    """Count what a planned program needs.

    Args:
        program: The program.
        plan: Where its tensors lie.
        weights: The file of weights; None if they are in the text.
    """
    constants = sum(map(constant_bytes, program.layers))
    weighty = max(program.layers, key=constant_bytes)
    wide = max(program.layers, key=_moved_bytes)
    winograd = any(layer.kernel == _WINOGRAD for layer in program.layers)
    return Needs(
        constants=constants if weights is None else len(weights),
        code=_AROUND_BYTES + sum(map(_code_bytes, program.layers)),
        arena=plan.bytes,
        input=_tensor_bytes(program.input),
        outputs=sum(each.size for each in program.outputs) * _FLOAT_BYTES,
        stack=_WINOGRAD_STACK_BYTES if winograd else _STACK_BYTES,
        winograd=winograd,
        largest_weights=f"'{weighty.name}' with {constant_bytes(weighty):,} bytes",
        largest_tensor=f"'{wide.name}' with {_moved_bytes(wide):,} bytes",
    )


def refuse_too_large(
    found: Needs, name: str, precision: str, flash: int | None, ram: int | None
) -> None:
    """Refuse a net that cannot fit.

    Args:
        found: What it needs.
        name: What it is called.
        precision: Number format of its weights.
        flash: Bytes of flash that there are for it; None if that does not matter.
        ram: The same of RAM.

    Raises:
        ModelError: It needs more; what would help is said.
    """
    smaller = "Use "
    if precision == "fp32":
        smaller = "Use int8 (`--from int8`), or "
    if found.winograd:
        smaller = "Leave out what is faster and larger (`--option winograd=off`), or use int8, or "
    if flash is not None and found.flash > flash:
        raise ModelError(
            f"{name} needs {found.flash:,} bytes of flash, and there are {flash:,}: "
            f"{found.constants:,} for weights and tables, about {found.code:,} for code.",
            f"{smaller}a net with fewer channels; most weights are in {found.largest_weights}.",
        )
    if ram is not None and found.ram > ram:
        raise ModelError(
            f"{name} needs {found.ram:,} bytes of RAM, and there are {ram:,}: {found.arena:,} for "
            f"activations, {found.input:,} for the image, {found.outputs:,} for the answer, about "
            f"{found.stack:,} of stack.",
            f"{smaller}a smaller input or a net with fewer channels; the layer that holds most is "
            f"{found.largest_tensor}.",
        )


def constant_bytes(layer: Layer) -> int:
    """Give the bytes of a layer's weights and tables."""
    return sum(values.nbytes for values in layer.constants)


def _code_bytes(layer: Layer) -> int:
    window = int(layer.shape.get("pool_rows", 1) * layer.shape.get("pool_columns", 1))
    if window > 1 and layer.kernel in _POOLING_BYTES:
        return window * _POOLING_BYTES[layer.kernel]
    multiplying = _INTEGERS_BYTES if "_u8" in layer.kernel else _FLOATS_BYTES
    return _CODE_BYTES.get(layer.kernel, multiplying if layer.macs else _OTHER_BYTES)


def _moved_bytes(layer: Layer) -> int:
    return sum(map(_tensor_bytes, (*(read.tensor for read in layer.reads), layer.writes)))


def _tensor_bytes(tensor: Tensor) -> int:
    return tensor.size * ITEM_BYTES[tensor.number]
