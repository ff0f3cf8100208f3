"""A terminal for commands under test: a real pty, and a screen that shows what they write."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyte

PROGRAM = [sys.executable, "-c", "from edgecnn.cli import main; main()"]
# The session's leader takes the first terminal that it opens for its own: Ctrl-C needs one.
_ON_TERMINAL = 'terminal=$0 out=$1; shift; exec "$@" <"$terminal" 2>"$terminal" >"$out"'
_ROWS = 400
# A line that is longer than the program was told shows on a screen that is wider than it.
_WIDER = 240
CTRL_C = b"\x03"


@dataclass(frozen=True)
class Shown:
    """What a terminal shows after a command.

    Attributes:
        code: The exit code.
        lines: What stands on the screen, without blanks at the ends.
        raw: Every byte that was written.
        cursor: The cursor is shown.
    """

    code: int
    lines: tuple[str, ...]
    raw: str
    cursor: bool

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)

    @property
    def coloured(self) -> bool:
        """Colours were set; bold and dim are none."""
        codes = self.raw.split("\x1b[")[1:]
        numbers = {n for code in codes if "m" in code for n in code.partition("m")[0].split(";")}
        return any(number.isdecimal() and 30 <= int(number) <= 107 for number in numbers)


def type_in_terminal(
    *arguments: object,
    columns: int = 80,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    stdout: Path | None = None,
    stop_at: Callable[[str], bool] | None = None,
    seconds: float = 120,
) -> Shown:
    """Run `edgecnn` on a terminal.

    Args:
        arguments: What follows `edgecnn`.
        columns: The terminal's width.
        folder: Where it runs.
        environment: Variables to set.
        stdout: File that stdout is piped to; by default it is on the terminal, too.
        stop_at: Ctrl-C is pressed once this is so of all that was written.
        seconds: How long it may take.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in _SET_BY_TESTS}
    terminal = os.ttyname(follower)
    out = terminal if stdout is None else str(stdout)
    line = ["sh", "-c", _ON_TERMINAL, terminal, out, *PROGRAM, *map(str, arguments)]
    with subprocess.Popen(
        line,
        cwd=folder,
        env={**known, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **(environment or {})},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    ) as child:
        try:
            raw = _read(leader, child, stop_at, time.monotonic() + seconds)
            code = child.wait(timeout=30)
        finally:
            child.kill()
            os.close(leader)
            os.close(follower)
    return _shown(code, raw)


_SET_BY_TESTS = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "TTY_COMPATIBLE"}


def _read(
    leader: int,
    child: subprocess.Popen[bytes],
    stop_at: Callable[[str], bool] | None,
    until: float,
) -> str:
    content = b""
    while time.monotonic() < until:
        ended = child.poll() is not None
        ready, _, _ = select.select([leader], [], [], 0.0 if ended else 0.1)
        if not ready and ended:
            break
        content += os.read(leader, 65536) if ready else b""
        if stop_at is not None and stop_at(content.decode(errors="replace")):
            os.write(leader, CTRL_C)
            stop_at = None
    return content.decode(errors="replace")


def _shown(code: int, raw: str) -> Shown:
    screen = pyte.Screen(_WIDER, _ROWS)
    pyte.Stream(screen).feed(raw)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return Shown(code, tuple(lines), raw, not screen.cursor.hidden)
