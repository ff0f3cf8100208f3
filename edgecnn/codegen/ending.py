"""What a net does at its very end: bytes become floats, or stay bytes if the caller wants these."""

from __future__ import annotations

from dataclasses import replace

from edgecnn.codegen.program import Layer, Program

DEQUANTIZE = "dequantize_u8"


def dequantize_last(program: Program) -> Program:
    """Put the layers that make outputs out of bytes behind all others; nobody reads outputs."""
    last = [layer for layer in program.layers if _ends(program, layer)]
    others = [layer for layer in program.layers if not _ends(program, layer)]
    return replace(program, layers=(*others, *last))


def _ends(program: Program, layer: Layer) -> bool:
    return layer.kernel == DEQUANTIZE and layer.writes in program.outputs and not layer.part
