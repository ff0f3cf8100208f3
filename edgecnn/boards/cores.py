"""The boards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgecnn.errors import InputError

ALL = "all"


@dataclass(frozen=True)
class Board:
    """A microcontroller that qemu emulates.

    Attributes:
        name: Its core, and the name of its linker script.
        machine: What qemu calls the board.
        flags: What makes gcc compile for the core.
    """

    name: str
    machine: str
    flags: tuple[str, ...]


_HARD = "-mfloat-abi=hard"
BOARDS = (
    Board("cortex-m0", "microbit", ("-mcpu=cortex-m0",)),
    Board("cortex-m3", "mps2-an385", ("-mcpu=cortex-m3",)),
    Board("cortex-m4", "mps2-an386", ("-mcpu=cortex-m4", _HARD, "-mfpu=fpv4-sp-d16")),
    Board("cortex-m7", "mps2-an500", ("-mcpu=cortex-m7", _HARD, "-mfpu=fpv5-sp-d16")),
    Board("cortex-m33", "mps2-an505", ("-mcpu=cortex-m33", _HARD, "-mfpu=fpv5-sp-d16")),
    Board("cortex-m55", "mps3-an547", ("-mcpu=cortex-m55", _HARD)),
)


def find_boards(names: Iterable[str]) -> tuple[Board, ...]:
    """Give boards by their names, each once; `all` is every one.

    Raises:
        InputError: None is called so.
    """
    known = {board.name: board for board in BOARDS}
    found: dict[Board, None] = {}
    for name in names:
        wanted = list(known.values()) if name == ALL else [known.get(name)]
        if None in wanted:
            raise InputError(
                f"There is no board '{name}'.", f"Use {', '.join(known)}, or {ALL} for all of them."
            )
        found.update(dict.fromkeys(board for board in wanted if board))
    return tuple(found)
