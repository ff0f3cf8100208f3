"""What was measured, raw: every call of every session, in the order in which it came."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median


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
        variant: What it opened, by its name in this run.
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
class Leg:
    """One turn of one session.

    Attributes:
        session: Its place in `Samples.sessions`.
        at_seconds: When it began, since the run did.
        times_ns: Time of each call, in nanoseconds.
        cpu_ns: CPU time of all the process's threads during these calls.
        settle_cpu_ns: CPU time after the last call until the threads were idle, as they spin.
        idle: Afterwards the worker stopped using the CPU.
    """

    session: int
    at_seconds: float
    times_ns: list[int]
    cpu_ns: int
    settle_cpu_ns: int
    idle: bool


@dataclass(frozen=True)
class Block:
    """Turns of all sessions, there and back: first, second, …, second, first.

    Attributes:
        replicate: Counted from 0.
        legs: In the order in which they ran.
    """

    replicate: int
    legs: tuple[Leg, ...]

    def levels(self) -> dict[int, float]:
        """Give the logarithm of each session's time for a call, where both its turns were taken.

        A turn counts with the median of its calls; a drift that is steady over the block adds the
        same to all.
        """
        turns: dict[int, list[float]] = {}
        for leg in self.legs:
            turns.setdefault(leg.session, []).append(math.log(median(leg.times_ns)))
        return {session: fmean(logs) for session, logs in turns.items() if len(logs) == 2}


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
        return [time for leg in self.legs(variant) for time in leg.times_ns]

    def medians(self) -> dict[str, float]:
        """Give the median time of a steady call, in seconds, of each variant that was timed."""
        names = dict.fromkeys(
            self.sessions[leg.session].variant for block in self.blocks for leg in block.legs
        )
        return {name: median(self.times_ns(name)) / 1e9 for name in names}

    def legs(self, variant: str) -> Iterator[Leg]:
        """Give all turns of a variant, in the order in which they ran."""
        for block in self.blocks:
            for leg in block.legs:
                if self.sessions[leg.session].variant == variant:
                    yield leg

    def by_session(self, variant: str) -> list[list[int]]:
        """Give the times of a variant's calls in each of its sessions, in nanoseconds."""
        found: dict[int, list[int]] = {}
        for leg in self.legs(variant):
            found.setdefault(leg.session, []).extend(leg.times_ns)
        return list(found.values())

    def levels(self, variant: str) -> list[list[list[float]]]:
        """Give what `Block.levels` says of a variant's two sessions: by replicate and block.

        Blocks in which one of the two is missing are left out; a replicate without blocks is empty.
        """
        found: list[list[list[float]]] = []
        for block in self.blocks:
            found += [[] for _ in range(block.replicate + 1 - len(found))]
            levels = block.levels()
            own = [levels[n] for n in sorted(levels) if self.sessions[n].variant == variant]
            if len(own) == 2:
                found[block.replicate].append(own)
        return found
