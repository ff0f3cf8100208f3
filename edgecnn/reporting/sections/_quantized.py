"""The newest quantization of a bundle, by whichever command it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecnn.exporting.report import ExportReport
from edgecnn.quantization import QuantizeReport
from edgecnn.reporting.material import Kept, Material


def newest_quantization(
    material: Material, holds: Callable[[QuantizeReport], object] = bool
) -> tuple[QuantizeReport, Kept[Any]] | None:
    """Give what the newest quantization found, and the report that it stands in.

    Args:
        material: All reports of a bundle.
        holds: What it must hold: training for int8, for one, chooses no ranges.
    """
    found: list[tuple[QuantizeReport, Kept[Any]]] = [
        (kept.body, kept) for kept in material.all(QuantizeReport)
    ]
    found += [(kept.body.int8, kept) for kept in material.all(ExportReport) if kept.body.int8]
    found = [one for one in found if holds(one[0])]
    return max(found, key=lambda one: one[1].report.created, default=None)
