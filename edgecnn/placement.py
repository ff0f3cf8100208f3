"""Where an engine computed each operator of a graph, and whether that is where it was asked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import InputError, Requirement, UnavailableError
from edgecnn.gpu import Library

FALLBACK = "fallback"  # the option of a runtime that may leave operators to the CPU


@dataclass(frozen=True)
class ProviderShare:
    """What one provider computed in one run.

    Attributes:
        provider: Its short name.
        operators: How many operators of the graph as the engine runs it; what an engine compiles
            into one is one.
        time_ns: Their time together, in nanoseconds.
    """

    provider: str
    operators: int
    time_ns: int


@dataclass(frozen=True)
class Copies:
    """Copies of tensors between a device and the computer's memory, in one run."""

    direction: Literal["to host", "from host"]
    count: int
    time_ns: int


@dataclass(frozen=True)
class PlacedOperator:
    """An operator, where it was computed, and its time in one run in nanoseconds."""

    name: str
    operator: str
    provider: str
    time_ns: int


@dataclass(frozen=True)
class Placement:
    """Where the operators of a graph were computed: what the engine's own profile of it says.

    Attributes:
        provider: Where they were to be computed.
        runs: Runs that were timed; times are the medians of them.
        shares: What each provider computed, the asked one first.
        copies: Copies between a device and the computer's memory; they are in no share.
        elsewhere: The operators that another provider computed, the slowest first.
        libraries: The libraries that were really loaded for it.
    """

    provider: str
    runs: int
    shares: tuple[ProviderShare, ...]
    copies: tuple[Copies, ...] = ()
    elsewhere: tuple[PlacedOperator, ...] = ()
    libraries: tuple[Library, ...] = ()

    @property
    def complete(self) -> bool:
        """Every operator was computed where it was to be."""
        return not self.elsewhere

    @property
    def coverage(self) -> float:
        """The share (0 to 1) of the time that its operators took; copies count as time elsewhere.

        Where the engine's clock, which counts microseconds, saw no time at all, it is the share of
        the operators.
        """
        there = [share for share in self.shares if share.provider == self.provider]
        copied = sum(each.time_ns for each in self.copies)
        time_ns = sum(share.time_ns for share in self.shares) + copied
        if time_ns:
            return sum(share.time_ns for share in there) / time_ns
        operators = sum(share.operators for share in self.shares)
        return sum(share.operators for share in there) / operators if operators else 0.0


@dataclass(frozen=True)
class Needed:
    """How much must be computed on the provider that is asked for: everything, or what is said.

    Attributes:
        fallback: The CPU may compute the rest, however much that is, but not everything.
        min_coverage: The share (0 to 1) of the time that must be spent on the provider, while the
            CPU may compute the rest; None for no such limit.
    """

    fallback: bool = False
    min_coverage: float | None = None

    def __post_init__(self) -> None:
        if self.min_coverage is not None and not 0 < self.min_coverage <= 1:
            raise InputError(
                f"A share of {self.min_coverage:g} is none between 0 and 1.",
                "Use such as --min-coverage 95%.",
            )

    @staticmethod
    def of(options: Mapping[str, str] | None, min_coverage: float | None) -> Needed:
        """Give what is needed where a runtime is opened with these options."""
        return Needed((options or {}).get(FALLBACK) == "on", min_coverage)

    @property
    def everything(self) -> bool:
        """Every operator must be computed there."""
        return not self.fallback and self.min_coverage is None


def allow_fallback(options: Mapping[str, str] | None) -> dict[str, str]:
    """Add the option that lets a runtime leave operators to the CPU."""
    return {**(options or {}), FALLBACK: "on"}


def check_placement(placement: Placement, needed: Needed, name: str) -> None:
    """Hold a placement against what is needed.

    Args:
        placement: What was found.
        needed: What must be.
        name: What the variant or file is called.

    Raises:
        UnavailableError: Too little was computed where it was to be; with a table of the operators
            that were computed elsewhere.
    """
    where, found = placement.provider, placement.coverage
    if needed.everything and not placement.complete:
        count = len(placement.elsewhere)
        problem = f"'{where}' computed all but {count} of the operators of '{name}'"
        remedy = "Allow it with --fallback, or with --min-coverage up to a limit."
    elif needed.min_coverage is not None and found < needed.min_coverage:
        problem = f"'{where}' computed '{name}' for {_percent(found)} of the time"
        problem += f", less than {_percent(needed.min_coverage)}"
        remedy = "Use a smaller --min-coverage, or --fallback for any share."
    elif not any(share.provider == where for share in placement.shares):
        problem = f"'{where}' computed nothing of '{name}'"
        remedy = "Use --provider cpu, which did."
    else:
        return
    rows = tuple(_requirement(each, where) for each in placement.elsewhere)
    raise UnavailableError(f"{problem}.", remedy, rows)


def describe(placement: Placement) -> str:
    """Say in one sentence where the operators were computed."""
    shares = [
        f"{share.operators} on {share.provider} ({_time(share.time_ns)})"
        for share in placement.shares
    ]
    copies = [
        f"{each.count} {'copy' if each.count == 1 else 'copies'} {each.direction} "
        f"({_time(each.time_ns)})"
        for each in placement.copies
    ]
    text = f"operators of a run: {', '.join([*shares, *copies])}"
    return f"{text}; {_percent(placement.coverage)} of the time on {placement.provider}"


def _requirement(each: PlacedOperator, provider: str) -> Requirement:
    label = f"{each.operator} {each.name}".strip()
    found = f"{each.provider}, {_time(each.time_ns)}"
    return Requirement(label, provider, found, ok=False)


def _time(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e3:,.0f} µs"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
