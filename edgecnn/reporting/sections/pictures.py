"""Images worth a look: of which the variants think differently, and that mislead the net."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.evaluation import Disagreement, Disagreements, EvalReport, Mistake, Picture
from edgecnn.reporting.contract import Section
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._shots import Gallery, Shot
from edgecnn.reporting.words import percent

ORDER = 32
TITLE = "Images worth a look"
COMMAND = "edgecnn eval"

_OPEN_GALLERIES = 2
_OPEN = 8


def build(material: Material) -> Section | None:
    """Show where variants differ most, and where each was surest of a wrong answer."""
    kept = material.newest(EvalReport)
    if kept is None or not (kept.body.mistakes or kept.body.disagreements):
        return None
    return Section({"kept": kept, "galleries": list(_galleries(kept))})


def _galleries(kept: Kept[EvalReport]) -> Iterator[Gallery]:
    body = kept.body
    for place, pair in enumerate(body.disagreements):
        same = "they answer every image alike" if not pair.count else _count(pair.count, "answer")
        yield Gallery(
            f"{pair.second} against {pair.first}",
            f"Of {body.images:,} images {same}. The largest differences of their probabilities:"
            if pair.worst
            else f"Of {body.images:,} images {same}, with the same probabilities.",
            tuple(_differing(one, pair, body) for one in pair.worst),
            open=_OPEN if place < _OPEN_GALLERIES else 0,
        )
    for place, wrong in enumerate(body.mistakes):
        yield Gallery(
            f"Mistakes of {wrong.variant}",
            _misread(wrong.count, body.images),
            tuple(_wrong(one, body) for one in wrong.worst),
            open=_OPEN if place == 0 else 0,
        )


def _misread(count: int, images: int) -> str:
    if count < 2:
        one = f"Of {images:,} images one was not recognised:"
        return one if count else f"All {images:,} images were recognised."
    return f"Of {images:,} images {count:,} were not recognised. Those of which it was surest:"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what} differs" if count == 1 else f"{count:,} {what}s differ"


def _differing(one: Disagreement, pair: Disagreements, body: EvalReport) -> Shot:
    return _shot(
        one.index,
        body,
        f"{pair.first} says {_label(body, one.first_answer)}, {percent(one.first_probability, 0)}",
        f"{pair.second} says {_label(body, one.second_answer)}, "
        f"{percent(one.second_probability, 0)}",
    )


def _wrong(one: Mistake, body: EvalReport) -> Shot:
    return _shot(
        one.index,
        body,
        f"taken for {_label(body, one.answer)}, {percent(one.probability, 0)}",
        f"the truth at {percent(one.label_probability, 1)}",
    )


def _shot(index: int, body: EvalReport, *lines: str) -> Shot:
    found = next((one for one in body.pictures if one.index == index), None)
    picture = found or Picture(index, "", 0, "")
    truth = _label(body, picture.label) if found else "class that is not kept"
    return Shot(index, picture.png, truth, lines, picture.sha256)


def _label(body: EvalReport, index: int) -> str:
    return body.labels[index] if index < len(body.labels) else f"output {index}"
