"""The candidates for int8 on the page, and the luck of the draw."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn.quantization import QuantizeReport
from edgecnn.quantization.calibration.choosing import Candidate, Choices
from edgecnn.quantization.calibration.spread import Drawn, Spread
from edgecnn.quantization.distance import Distance
from edgecnn.quantization.plan import Plan
from edgecnn.reporting.material import collect
from edgecnn.reporting.page import Shown, render
from edgecnn.reporting.sections import calibration
from tests.reporting.conftest import keep
from tests.reporting.test_verdicts import put

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle

NEAR, FAR = Distance(1024, 31.25, 7, 0.0325), Distance(1024, 20.5, 1011, 0.125)
CHOICES = Choices(
    (Candidate(Plan(), FAR), Candidate(Plan(calibration="mse"), NEAR)), 1, 512, "It is nearer."
)
SPREAD = Spread(512, 1024, 0.875, (Drawn(0, 0, NEAR, 0.87), Drawn(1, 3, FAR, 0.8625)))


def shown(bundle: Bundle, choices: Choices | None, spread: Spread | None) -> str:
    """Give the section's text as the page has it; empty if there is none."""
    put(bundle, "quantize", "2026-01-01T00:00:00.000Z")
    kept = collect(bundle).newest(QuantizeReport)
    assert kept is not None
    keep("quantize", replace(kept.body, choices=choices, spread=spread), bundle)
    material = collect(bundle)
    section = calibration.build(material)
    if section is None:
        return ""
    one = Shown("calibration", calibration.TITLE, calibration.COMMAND, section)
    page = render(material, [one], bundle.folder)
    text = re.sub(r"<[^>]+>", " ", page[page.index("<body") :]).replace("\N{NO-BREAK SPACE}", " ")
    return " ".join(text.split())


def test_candidates_and_draws_are_listed(make_bundle: MakeBundle) -> None:
    text = shown(make_bundle(), CHOICES, SPREAD)
    assert "Ranges were taken from 512 training images" in text
    assert "It is nearer." in text
    assert "minmax 12.50 % 1,011 20.5" in text
    assert "mse (chosen) 3.25 % 7 31.2" in text
    assert str(SPREAD) in text
    assert "fp32 recognises 87.50 % of them." in text
    assert "the variant's own 0 3.25 % 7 31.2 87.00 %" in text.replace("&#39;", "'")
    assert "draw 1 3 12.50 % 1,011 20.5 86.25 %" in text


def test_without_classes_there_is_only_noise(make_bundle: MakeBundle) -> None:
    bare = Distance(64, 33.0, None, None)
    choices = replace(CHOICES, candidates=(Candidate(Plan(), bare),), chosen=0)
    spread = Spread(512, 64, None, (Drawn(0, 0, bare, None), Drawn(1, 0, bare, None)))
    text = shown(make_bundle(), choices, spread)
    assert "candidate SQNR in dB minmax (chosen) 33.0" in text
    assert "margin error other answers" not in text
    assert "draw images of earlier draws SQNR in dB" in text
    assert "recognises" not in text


@pytest.mark.parametrize(("choices", "spread"), [(CHOICES, None), (None, SPREAD)])
def test_either_stands_alone(
    make_bundle: MakeBundle, choices: Choices | None, spread: Spread | None
) -> None:
    text = shown(make_bundle(), choices, spread)
    assert ("mse (chosen)" in text) == (choices is not None)
    assert ("The luck of the draw" in text) == (spread is not None)


def test_where_nothing_was_compared_there_is_no_section(make_bundle: MakeBundle) -> None:
    assert shown(make_bundle(), None, None) == ""


def test_what_came_later_without_any_does_not_hide_them(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    assert "mse (chosen)" in shown(bundle, CHOICES, None)
    put(bundle, "quantize", "2126-01-01T00:00:00.000Z")
    later = collect(bundle).newest(QuantizeReport)
    assert later is not None
    assert later.body.choices is None
    assert calibration.build(collect(bundle)) is not None
