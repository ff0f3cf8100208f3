"""What a comparison of layers means, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgecnn.agreement.layers.report import LayerComparison, LayerDifference, Rule
from edgecnn.agreement.layers.rules import LIMITS
from edgecnn.spec import Verdict

_EXPLAINED = {
    "float": "which is {share} roundings, and {limit:g} are allowed",
    "8 bits": "the layer itself adds {share} times what rounding its range to 8 bits costs",
    "steps": "{share} times the noise of values that rounding tips over to the next step",
}


_HIDDEN_IN_COPIES = (
    "differ in their outputs, but no longer in copies that show the tensors inside: what parts "
    "them is something that engines fuse, and such copies undo."
)
_ONLY_IN_COPIES = (
    "only in copies that show the tensors inside: the outputs of the files as they are do not part."
)


def judge_layers(
    names: tuple[str, str],
    parted: LayerDifference | None,
    outputs_part: tuple[bool, bool],
    rule: Rule,
) -> Verdict:
    """Give the verdict of one comparison: a sentence that names the first layer, if they part.

    Args:
        names: Of the sides.
        parted: Where they part.
        outputs_part: Whether outputs do: of the files as they are, and of the copies.
        rule: What is more than rounding.
    """
    sides, (as_they_are, in_copies) = f"{names[0]} and {names[1]}", outputs_part
    if parted is not None:
        reason = f"{sides} part at {_place(parted)}: {_how_far(parted, rule)}"
        if in_copies and not as_they_are:
            return Verdict("inconclusive", (f"{reason}; but {_ONLY_IN_COPIES}",))
        return Verdict("fail", (f"{reason}.",))
    if as_they_are:
        return Verdict("inconclusive", (f"{sides} {_HIDDEN_IN_COPIES}",))
    return Verdict("pass")


def _place(parted: LayerDifference) -> str:
    operator = f" ({parted.operator})" if parted.operator else ""
    tensor = "" if parted.tensor == parted.layer else f", tensor {parted.tensor}"
    return f"{parted.layer}{operator}{tensor}"


def _how_far(parted: LayerDifference, rule: Rule) -> str:
    if parted.not_finite:
        count = parted.not_finite
        return f"{count} value{'s are' if count > 1 else ' is'} NaN or infinite on one side alone"
    share = "infinitely many" if math.isinf(parted.roundings) else f"{parted.roundings:.3g}"
    return f"up to {parted.max_abs:.2g}, {_EXPLAINED[rule].format(share=share, limit=LIMITS[rule])}"


def remarks(found: LayerComparison, first: str, second: str) -> Iterator[str]:
    """Say what was compared, and what looking inside changed.

    Args:
        found: The comparison.
        first: What the first side is called without its engine.
        second: The same of the second.
    """
    moved = max(found.moved)
    same = (
        "whose outputs are those of the files bit for bit"
        if not moved
        else f"whose outputs differ from those of the files by up to {moved:.2g}, for engines fuse "
        "less where inner tensors are outputs"
    )
    yield (
        f"Compared were {len(found.tensors)} tensors of {found.first} and {found.second}, in "
        f"copies that show them, {same}."
    )
    if found.alone or found.others_alone:
        of = f"{found.alone} of {first} and {found.others_alone} of {second}"
        yield f"Tensors without a counterpart of the same name, layer and shape: {of}."


def farthest(found: LayerComparison) -> LayerDifference:
    """Give the tensor that differs most, in units of rounding."""
    return max(found.tensors, key=lambda each: each.roundings)
