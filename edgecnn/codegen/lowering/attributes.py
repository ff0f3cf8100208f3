"""What a node is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def number(node: ir.Node, name: str, default: int) -> int:
    """Read a whole number."""
    found = node.attributes.get(name)
    return default if found is None else int(found.as_int())


def real(node: ir.Node, name: str, default: float) -> float:
    """Read a float."""
    found = node.attributes.get(name)
    return default if found is None else float(found.as_float())


def ints(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Read whole numbers."""
    found = node.attributes.get(name)
    return default if found is None else tuple(int(each) for each in found.as_ints())


def text(node: ir.Node, name: str, default: str) -> str:
    """Read a word."""
    found = node.attributes.get(name)
    return default if found is None else str(found.as_string())
