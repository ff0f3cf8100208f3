"""What a net needs of a device: flash, RAM and stack; and the refusal of one that cannot fit.

Weights, tables, the arena, the image and the answer are counted exactly. Code and stack are
estimates: arm-none-eabi-gcc 12.2 at -O2 for a Cortex-M4 makes 300 to 900 bytes of a layer that
multiplies and at most 450 of another, and no layer of the nets on the shelf takes more than 400
bytes of stack. `edgecnn bench --board` measures both.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.codegen.planning import Plan
from edgecnn.codegen.program import ITEM_BYTES, Layer, Program, Tensor
from edgecnn.errors import ModelError

_MULTIPLYING_BYTES, _OTHER_BYTES, _AROUND_BYTES = 700, 250, 500
STACK_BYTES = 512
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
        largest_weights: The layer with the most weights, as people read it, and its share.
        largest_tensor: The layer with the most numbers to read and to write, as people read it.
    """

    constants: int
    code: int
    arena: int
    input: int
    outputs: int
    stack: int
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


def needs(program: Program, plan: Plan) -> Needs:
    """Count what a planned program needs."""
    weighty = max(program.layers, key=constant_bytes)
    wide = max(program.layers, key=_moved_bytes)
    multiplying = sum(layer.macs > 0 for layer in program.layers)
    others = len(program.layers) - multiplying
    return Needs(
        constants=sum(map(constant_bytes, program.layers)),
        code=_AROUND_BYTES + multiplying * _MULTIPLYING_BYTES + others * _OTHER_BYTES,
        arena=plan.bytes,
        input=_tensor_bytes(program.input),
        outputs=sum(each.size for each in program.outputs) * _FLOAT_BYTES,
        stack=STACK_BYTES,
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
    smaller = "Use int8 (`--from int8`), or " if precision == "fp32" else "Use "
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


def _moved_bytes(layer: Layer) -> int:
    return sum(map(_tensor_bytes, (*(read.tensor for read in layer.reads), layer.writes)))


def _tensor_bytes(tensor: Tensor) -> int:
    return tensor.size * ITEM_BYTES[tensor.number]
