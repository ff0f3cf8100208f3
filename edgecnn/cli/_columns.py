"""How wide a table's columns are: numbers are never torn apart, text gives way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from edgecnn.cli._terminal import words

# What begins with a digit, or is one word with a digit, such as a digest.
_NUMBER = re.compile(r"[-+<>~]?\d.*|\S*\d\S*")
_GAP = 2  # between columns
_LONGEST_NUMBER = 24  # what is longer is text
_NARROWEST_TEXT = 12
_MOST_PARTS = 3  # beyond, nobody finds what belongs together
_MOST_KEYS = 3

Rows = Sequence[Sequence[Text]]


def parts(headers: Sequence[Text], rows: Rows, left: int, room: int) -> list[list[int]]:
    """Divide a table's columns into tables that fit; each has the first columns.

    Args:
        headers: The columns' names.
        rows: The cells.
        left: How many columns hold text that says what a row is about; fewer are repeated where
            these tell the rows apart, more where these do not.
        room: The width in characters.

    Returns:
        The places of each part's columns; none where that makes no readable table.
    """
    least = [width[0] for width in widths(headers, rows, left)]
    first = list(range(_keys(rows, left)))
    found = [list(first)]
    for place in range(len(first), len(headers)):
        if len(found[-1]) > len(first) and _needed(least, [*found[-1], place]) > room:
            found.append(list(first))
        found[-1].append(place)
    fits = all(_needed(least, part) <= room for part in found)
    return found if fits and len(found) <= _MOST_PARTS else []


def widths(headers: Sequence[Text], rows: Rows, left: int) -> list[tuple[int, int]]:
    """Give the least and the natural width of each column, in characters."""
    found = []
    for place, header in enumerate(headers):
        longest = max((row[place].cell_len for row in rows), default=0)
        natural = max(longest, header.cell_len)
        if is_text(rows, place, left):
            least = min(natural, _NARROWEST_TEXT)
        else:
            least = max(longest, _longest_word(header))
        found.append((least, natural))
    return found


def is_text(rows: Rows, place: int, left: int) -> bool:
    """Say whether a column holds text, which stands on the left and may be broken."""
    cells = [row[place].plain for row in rows if row[place].plain not in ("", "-")]
    numbers = sum(_NUMBER.fullmatch(cell) is not None for cell in cells)
    longest = max(map(len, cells), default=0)
    return place < left or longest > _LONGEST_NUMBER or 2 * numbers < len(cells)


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


def wrapped(text: Text, width: int) -> Text:
    r"""Break a cell's text: between words, else after a slash or the like, else anywhere.

    >>> wrapped(Text("edgecnn/0_reshape takes 1.62 % of it"), 13).plain.split("\n")
    ['edgecnn/', '0_reshape', 'takes 1.62 %', 'of it']
    """
    return Text("\n").join(piece for line in text.split("\n") for piece in _lines(line, width))


def _lines(line: Text, width: int) -> Iterator[Text]:
    start = end = 0
    for first, last in _pieces(line.plain, width):
        if end and cell_len(line.plain[start:last]) > width:
            yield line[start:end]
            start = first
        end = last
    yield line[start:end]


def _pieces(line: str, width: int) -> Iterator[tuple[int, int]]:
    for start, end in words(line):
        while cell_len(line[start:end]) > width:
            cut = start + _cut(line[start:end], width)
            yield start, cut
            start = cut
        yield start, end


def _cut(word: str, width: int) -> int:
    """Give how much of a word goes onto a line."""
    most = next(n for n in range(len(word), 0, -1) if cell_len(word[:n]) <= width or n == 1)
    for separators in (" ", "/", "._-+"):
        if cut := max(word.rfind(each, 0, most) for each in separators) + 1:
            return cut
    return most


def _keys(rows: Rows, left: int) -> int:
    for count in range(1, _MOST_KEYS + 1):
        if len({tuple(cell.plain for cell in row[:count]) for row in rows}) == len(rows):
            return count
    return left


def _needed(sizes: Sequence[int], places: Sequence[int] | range) -> int:
    return sum(sizes[place] + _GAP for place in places)


def _longest_word(text: Text) -> int:
    return max((word.cell_len for word in text.split()), default=0)
