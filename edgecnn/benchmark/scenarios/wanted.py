"""What is asked for beyond the steady state, and whether it can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edgecnn.errors import InputError
from edgecnn.units import time_text

Process = Literal["periodic", "poisson"]
_PROCESSES: tuple[Process, ...] = ("periodic", "poisson")
LoadGenName = Literal["single-stream", "multi-stream", "offline", "server"]
_LOADGEN_NAMES: tuple[LoadGenName, ...] = get_args(LoadGenName)
_FASTEST = 100_000.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1e-3, 3600.0
_MOST_CALLERS = 256


@dataclass(frozen=True)
class Arrival:
    """How inputs arrive, whether or not the last one was answered.

    Attributes:
        process: `periodic`, as from a camera, or `poisson`, as from many who know nothing of each
            other.
        rate: Arrivals in a second.
    """

    process: Process
    rate: float

    def __str__(self) -> str:
        return f"{self.process}:{self.rate:g}"


@dataclass(frozen=True)
class LoadGenTest:
    """A scenario of MLPerf Inference, as LoadGen plays it.

    Attributes:
        scenario: `single-stream`, `multi-stream`, `offline` or `server`.
        rate: Samples in a second, in Server: None for half of what the steady state answers.
    """

    scenario: LoadGenName
    rate: float | None = None

    def __str__(self) -> str:
        return self.scenario if self.rate is None else f"{self.scenario}:{self.rate:g}"


@dataclass(frozen=True)
class Wanted:
    """What is measured beyond the steady state.

    Attributes:
        idle: Pauses after which a call is timed, in seconds.
        arrivals: How inputs arrive.
        deadline_seconds: When an answer comes too late, after its arrival; by default, with
            periodic arrivals, when the next input arrives, and in LoadGen's Server after 10 steady
            calls.
        callers: How many call one session at once; one is always measured beside them.
        end_to_end: From an image file to the answer.
        images: The files for that; by default the model's own images, encoded.
        energy: Energy for a call.
        loadgen: MLPerf's scenarios, played by LoadGen.
    """

    idle: tuple[float, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    deadline_seconds: float | None = None
    callers: tuple[int, ...] = ()
    end_to_end: bool = False
    images: tuple[str, ...] = ()
    energy: bool = False
    loadgen: tuple[LoadGenTest, ...] = ()

    @property
    def count(self) -> int:
        """How many things are measured; 0 for nothing."""
        others = (bool(self.callers), self.end_to_end, self.energy)
        return len(self.idle) + len(self.arrivals) + len(self.loadgen) + sum(others)


def parse_arrival(text: str) -> Arrival:
    """Read how inputs arrive.

    Args:
        text: Such as `periodic:30` or `poisson:50`: the process and its rate in a second.

    Raises:
        InputError: There is no such process, or no such rate.

    >>> parse_arrival("periodic:30")
    Arrival(process='periodic', rate=30.0)
    """
    name, colon, number = text.strip().partition(":")
    process = next((known for known in _PROCESSES if known == name.strip().lower()), None)
    if process is None or not colon:
        raise InputError(
            f"'{text}' does not say how inputs arrive.", "Write such as periodic:30 or poisson:50."
        )
    return Arrival(process, _rate(number, f"{process}:30"))


def parse_loadgen(text: str) -> LoadGenTest:
    """Read a scenario of MLPerf Inference.

    Args:
        text: `single-stream`, `multi-stream`, `offline` or `server`; the last one may have its
            rate in a second behind it: `server:100`.

    Raises:
        InputError: There is no such scenario, or no such rate.

    >>> parse_loadgen("server:100")
    LoadGenTest(scenario='server', rate=100.0)
    """
    name, colon, number = text.strip().partition(":")
    known = next((each for each in _LOADGEN_NAMES if each == name.strip().lower()), None)
    if known is None:
        raise InputError(
            f"LoadGen has no scenario '{name.strip()}'.", f"Use {', '.join(_LOADGEN_NAMES)}."
        )
    if not colon:
        return LoadGenTest(known)
    if known != "server":
        raise InputError(f"'{text}': {known} has no rate.", f"Write {known}, or server:{number}.")
    return LoadGenTest(known, _rate(number, "server:100"))


def check(wanted: Wanted) -> None:
    """Refuse what cannot be measured, before anything is.

    Raises:
        InputError: A number cannot be, or something is missing.
    """
    for pause in wanted.idle:
        if not _SHORTEST_PAUSE <= pause <= _LONGEST_PAUSE:
            least, most = time_text(_SHORTEST_PAUSE), time_text(_LONGEST_PAUSE)
            raise InputError(
                f"A pause of {pause:g} s cannot be measured.", f"Use --idle {least} to {most}."
            )
    for count in wanted.callers:
        if not 1 <= count <= _MOST_CALLERS:
            raise InputError(
                f"{count} callers cannot be measured.", f"Use --concurrency 1 to {_MOST_CALLERS}."
            )
    if wanted.deadline_seconds is not None and wanted.deadline_seconds <= 0:
        raise InputError("A deadline of nothing is always missed.", "Use one above 0.")
    arrives = wanted.arrivals or any(test.scenario == "server" for test in wanted.loadgen)
    if wanted.deadline_seconds is not None and not arrives:
        raise InputError(
            "--deadline needs something that arrives.", "Add such as --arrival periodic:30."
        )
    if wanted.images and not wanted.end_to_end:
        raise InputError("--image is used end to end only.", "Add --end-to-end.")


def _rate(number: str, example: str) -> float:
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= _FASTEST:
        raise InputError(
            f"'{number}' is no rate of arrivals: it is not above 0 and up to {_FASTEST:,.0f} /s.",
            f"Write such as {example}.",
        )
    return rate
