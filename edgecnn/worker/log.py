"""What a worker's process prints: kept apart from this process's own output, and bounded."""

from __future__ import annotations

import fcntl
import os
import tempfile

_KEPT_BYTES = 1 << 20
_TAIL_BYTES = 1 << 14
_LONGEST_WORDS = 300  # of one sentence that quotes it


class Printed(Exception):
    """What an engine printed before it failed: the cause of the error, seen with `--debug`."""


class Log:
    """A file that a process prints into."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- close() closes it
        # Whoever writes appends, so that cutting it leaves no hole.
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)

    def fileno(self) -> int:
        """Give what a process prints into."""
        return self._file.fileno()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return os.fstat(self._file.fileno()).st_size

    def cut(self) -> None:
        """Forget what is kept, if that is much."""
        if self.size > _KEPT_BYTES:
            self._file.truncate(0)

    def tail(self) -> str:
        """Give the last part of what was printed."""
        self._file.seek(max(0, self.size - _TAIL_BYTES))
        return self._file.read(_TAIL_BYTES).decode(errors="replace").strip()

    def last_words(self) -> str:
        """Give the last line as part of a sentence; empty if nothing was printed."""
        lines = self.tail().splitlines()
        if not lines:
            return ""
        words = "".join(c if c.isprintable() else " " for c in lines[-1]).strip()
        return f" Its last words: {words[-_LONGEST_WORDS:]}"

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
