"""Which function lowers which operator: each file of this folder says so of its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering

Rule = Callable[["Lowering", "ir.Node"], None]

_RULES: dict[str, Rule] = {}


def lowers(*operators: str) -> Callable[[Rule], Rule]:
    """Mark the function that adds the layers of an operator of ONNX's own."""

    def mark(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(operators, rule))
        return rule

    return mark


def rules() -> dict[str, Rule]:
    """Give every rule by the operator's name."""
    import edgecnn.codegen.lowering as package

    for module in iter_modules(package.__path__, f"{package.__name__}."):
        import_module(module.name)
    return _RULES
