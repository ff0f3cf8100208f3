"""What was measured, raw: every call of every session, in the order in which it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Warmup:
    """The runs before measuring began.

    Attributes:
        runs: How many.
        steady: The times were steady at the end; None if the number of runs was given.
    """

    runs: int
    steady: bool | None


@dataclass(frozen=True)
class SessionRecord:
    """One fresh process with one session.

    Attributes:
        variant: What it opened.
        repeat: It is the second one of the first variant, for the noise floor.
        replicate: Counted from 0.
        start_seconds: Python and edgecnn up in a new process.
        import_seconds: The runtime's adapter and engine imported.
        load_seconds: The session made from the file.
        first_run_seconds: The first run.
        warmup: The runs before measuring began.
        resident_bytes: Memory of the whole process at the end, resident; 0 if unknown.
        peak_bytes: The most that ever was resident; 0 if unknown.
        cpu_seconds: CPU time of the whole process at the end.
    """

    variant: str
    repeat: bool
    replicate: int
    start_seconds: float
    import_seconds: float
    load_seconds: float
    first_run_seconds: float
    warmup: Warmup
    resident_bytes: int = 0
    peak_bytes: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Block:
    """Four turns of two workers: first, second, second, first.

    Attributes:
        replicate: Counted from 0.
        first: The first variant.
        second: The variant compared with it; the same one where the noise floor is measured.
        first_ns: Times of each call in each turn of the first, in nanoseconds.
        second_ns: The same for the second.
        idle: After each turn the worker stopped using the CPU.
    """

    replicate: int
    first: str
    second: str
    first_ns: tuple[list[int], ...]
    second_ns: tuple[list[int], ...]
    idle: bool

    @property
    def complete(self) -> bool:
        """All four turns were taken."""
        return len(self.first_ns) == len(self.second_ns) == 2


@dataclass(frozen=True)
class Checks:
    """What edgecnn's own checks cost: calls with them and without, in turn, in nanoseconds."""

    variant: str
    checked_ns: list[int]
    bare_ns: list[int]


@dataclass(frozen=True)
class Failure:
    """A variant that could not be measured to the end, and why."""

    variant: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Samples:
    """Everything that was measured so far."""

    sessions: tuple[SessionRecord, ...] = ()
    blocks: tuple[Block, ...] = ()
    checks: tuple[Checks, ...] = ()
    failures: tuple[Failure, ...] = ()

    def times_ns(self, variant: str) -> list[int]:
        """Give the times of all steady calls of a variant, in nanoseconds."""
        return [time for leg in self._legs(variant) for time in leg]

    def _legs(self, variant: str) -> Iterator[list[int]]:
        for block in self.blocks:
            if block.first == variant:
                yield from block.first_ns
            if block.second == variant:
                yield from block.second_ns

    def pairs(self, first: str, second: str) -> list[list[Block]]:
        """Give the complete blocks that compare two variants, by replicate."""
        found: dict[int, list[Block]] = {}
        for block in self.blocks:
            if block.complete and (block.first, block.second) == (first, second):
                found.setdefault(block.replicate, []).append(block)
        return list(found.values())
