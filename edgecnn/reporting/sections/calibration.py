"""How the ranges of int8 were chosen, and how much of it was the luck of the draw."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.quantization.calibration.choosing import Candidate, Choices, describe
from edgecnn.quantization.calibration.spread import Spread
from edgecnn.quantization.distance import Distance
from edgecnn.quantization.plan import Plan
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Material
from edgecnn.reporting.sections._quantized import newest_quantization
from edgecnn.reporting.words import percent

ORDER = 46
TITLE = "Calibration of int8"
COMMAND = "edgecnn quantize"


def build(material: Material) -> Section | None:
    """Show every candidate with its distance from fp32, and the same plan on other draws."""
    found = newest_quantization(material, lambda report: report.choices or report.spread)
    if found is None:
        return None
    body, kept = found
    choices, spread = body.choices, body.spread
    if choices is None and spread is None:
        return None
    values = {
        "choices": choices,
        "candidates": choices and candidates_table(choices),
        "spread": spread,
        "draws": spread and draws_table(spread),
        "kept": kept,
    }
    return Section(values)


def candidates_table(choices: Choices) -> Table:
    """Give the candidates, each with how far its answers lie from those of fp32."""
    distances = [each.distance for each in choices.candidates]
    plans = [each.plan for each in choices.candidates]
    chosen = choices.candidates[choices.chosen]
    rows = tuple(
        (_name(each, plans, each is chosen), *_cells(each.distance, distances))
        for each in choices.candidates
    )
    return Table(
        f"Candidates on {distances[0].images:,} selection images",
        ("candidate", *_columns(distances)),
        rows,
    )


def draws_table(spread: Spread) -> Table:
    """Give the draws, each with what the same plan made of it."""
    distances = [each.distance for each in spread.draws]
    known = any(each.accuracy is not None for each in spread.draws)
    rows = tuple(
        (
            "the variant's own" if each.resample == 0 else f"draw {each.resample}",
            f"{each.shared:,}",
            *_cells(each.distance, distances),
            *((_share(each.accuracy),) if known else ()),
        )
        for each in spread.draws
    )
    columns = ("draw", "images of earlier draws", *_columns(distances))
    return Table(
        f"The same plan on other draws of {spread.calibration_images:,} images",
        columns + (("recognised",) if known else ()),
        rows,
    )


def _name(candidate: Candidate, plans: Sequence[Plan], chosen: bool) -> str:
    name = describe(candidate.plan, plans)
    return f"{name} (chosen)" if chosen else name


def _columns(distances: Sequence[Distance]) -> tuple[str, ...]:
    margins = any(each.margin_error is not None for each in distances)
    return (*(("margin error", "other answers") if margins else ()), "SQNR in dB")


def _cells(distance: Distance, distances: Sequence[Distance]) -> tuple[str, ...]:
    own = (f"{distance.sqnr_db:.1f}",)
    if all(each.margin_error is None for each in distances):
        return own
    flips = "" if distance.flips is None else f"{distance.flips:,}"
    return (_share(distance.margin_error, 2), flips, *own)


def _share(value: float | None, digits: int = 2) -> str:
    return "" if value is None else percent(value, digits)
