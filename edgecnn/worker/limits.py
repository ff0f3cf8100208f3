"""How long a worker may take, and how much memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgecnn import machine
from edgecnn.errors import InputError, UnavailableError

LIMIT_SECONDS = 120.0  # for one request, on top of the time that it asks for

_ME = Path("/proc/self")
_FIRST_TO_GO = "1000"  # of what the kernel ends where the memory runs out


@dataclass(frozen=True)
class WorkerLimits:
    """What a worker may take.

    Attributes:
        seconds: For one request: opening a session, or a run. Without an answer by then it hangs.
        memory: Bytes that a session may take beyond Python and the engine; None for what is free.
    """

    seconds: float = LIMIT_SECONDS
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise InputError("A limit of no time lets nothing be done.", "Allow such as 10s.")
        if self.memory is not None and self.memory <= 0:
            raise InputError("A limit of no memory lets nothing open.", "Allow such as 500MB.")

    @staticmethod
    def of(seconds: float | None, memory: int | None) -> WorkerLimits | None:
        """Give the limits that somebody set; None where nobody did."""
        if seconds is None and memory is None:
            return None
        return WorkerLimits(LIMIT_SECONDS if seconds is None else seconds, memory)

    def with_memory(self, memory: int | None) -> WorkerLimits:
        """Give the same limits, with the smaller one of the two for memory."""
        known = [each for each in (self.memory, memory) if each is not None]
        return WorkerLimits(self.seconds, min(known, default=None))


def begin() -> None:
    """Let this process take what memory is free and no more, and be the first to go without."""
    with suppress(OSError):
        (_ME / "oom_score_adj").write_text(_FIRST_TO_GO)
    free = _free_bytes()
    if free:
        _limit(free)


def allow(more: int | None, provider: str) -> None:
    """Limit the memory that a session may take from here on.

    Args:
        more: Bytes beyond what is in use; None to leave it at what is free.
        provider: Where it computes. A GPU's driver maps memory of its own, which counts too and
            has little to do with the model, so that only a limit that somebody set holds there.

    Raises:
        UnavailableError: Memory cannot be limited on this system.
    """
    if more is None and provider != "cpu":
        _limit(None)
    elif more is not None and not _limit(more):
        raise UnavailableError(
            "A process's memory can be limited on Linux only.", "Do this on a Linux machine."
        )


def status_bytes(key: str) -> int:
    """Read what the kernel counts of this process's memory; 0 if unknown."""
    return _kibibytes(_ME / "status", key)


def _limit(more: int | None) -> bool:
    # Counted from here: what Python and the engine reserved for their threads differs by machine.
    # The address space is no measure, since engines map files and reserve what they never touch.
    used = status_bytes("VmData")
    if not used:
        return False
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if more is None else used + more
    resource.setrlimit(
        resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )
    return True


def _free_bytes() -> int:
    info = Path("/proc/meminfo")
    free = _kibibytes(info, "MemAvailable")
    return min(free + _kibibytes(info, "SwapFree"), machine.granted_memory()) if free else 0


def _kibibytes(file: Path, key: str) -> int:
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0
