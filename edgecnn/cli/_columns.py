"""How wide a table's columns are: numbers are never torn apart, text gives way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

_GAP = 2  # between columns
_LONGEST_NUMBER = 24  # what is longer is text, whichever side it stands on
_NARROWEST_TEXT = 12

Rows = Sequence[Sequence[Text]]


def parts(headers: Sequence[Text], rows: Rows, left: int, room: int) -> Iterator[list[int]]:
    """Divide a table's columns into tables that fit; each has the first columns, `left` of them.

    Args:
        headers: The columns' names.
        rows: The cells.
        left: How many columns hold text that says what a row is about.
        room: The width in characters.

    Returns:
        The places of each part's columns.
    """
    least = [width[0] for width in widths(headers, rows, left)]
    first = list(range(left))
    part, needed = list(first), _needed(least, first)
    for place in range(left, len(headers)):
        if len(part) > left and needed + least[place] + _GAP > room:
            yield part
            part, needed = list(first), _needed(least, first)
        part.append(place)
        needed += least[place] + _GAP
    yield part


def widths(headers: Sequence[Text], rows: Rows, left: int) -> list[tuple[int, int]]:
    """Give the least and the natural width of each column, in characters."""
    found = []
    for place, header in enumerate(headers):
        cells = [row[place] for row in rows]
        longest = max((cell.cell_len for cell in cells), default=0)
        natural = max(longest, header.cell_len)
        text = place < left or longest > _LONGEST_NUMBER
        least = min(natural, _NARROWEST_TEXT) if text else max(longest, _longest_word(header))
        found.append((least, natural))
    return found


def fit(found: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Take from the columns that have most to give until a table fits.

    >>> fit([(8, 30), (6, 9)], 26)
    [13, 9]
    """
    now = [natural for _, natural in found]
    while _needed(now, range(len(now))) > room:
        spare = [width - least for width, (least, _) in zip(now, found, strict=True)]
        if max(spare) <= 0:
            break
        now[spare.index(max(spare))] -= 1
    return now


def _needed(sizes: Sequence[int], places: Sequence[int] | range) -> int:
    return sum(sizes[place] + _GAP for place in places)


def _longest_word(text: Text) -> int:
    return max((word.cell_len for word in text.split()), default=0)
