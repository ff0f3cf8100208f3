"""What was found on emulated boards, and what it means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.agreement import Comparison
from edgecnn.boards.building import Sizes
from edgecnn.errors import EdgeCNNError, GateFailed, Inconclusive, ModelError, RuntimeCrashed
from edgecnn.records import MaybeInfinite
from edgecnn.spec import Verdict

Outcome = Literal["pass", "fail", "inconclusive", "refused", "crashed"]

# What decides the exit code where several things are wrong.
_ERRORS: tuple[tuple[Outcome, type[EdgeCNNError]], ...] = (
    ("fail", GateFailed),
    ("crashed", RuntimeCrashed),
    ("refused", ModelError),
    ("inconclusive", Inconclusive),
)


@dataclass(frozen=True)
class BoardRow:
    """One variant on one board.

    Attributes:
        board: The board, named after its core.
        machine: What qemu calls it.
        flags: Flags of the compiler.
        variant: The variant.
        outcome: `pass`, `fail` and `inconclusive` are verdicts on its answers; `refused` is what
            does not fit the board or does not compile, and `crashed` what has no answer.
        promised: Its answers must be equal bit for bit.
        sizes: Bytes that the net adds to a program; None if it was not built.
        stack: Bytes of stack that a call uses; None without an answer.
        instructions: Of one call, emulated, the median of the images; no cycles.
        macs: Multiply-accumulates for one image; None if they could not be counted.
        equal: Images with all outputs equal bit for bit to the variant's own golden ones.
        largest_error: The largest difference to these.
        comparisons: Each output against the variant's own golden one.
        problem: What is wrong, as sentences; empty if nothing is.
        remedy: What to do; empty if nothing is wrong.
    """

    board: str
    machine: str
    flags: tuple[str, ...]
    variant: str
    outcome: Outcome
    promised: bool
    sizes: Sizes | None = None
    stack: int | None = None
    instructions: int | None = None
    macs: int | None = None
    equal: int = 0
    largest_error: MaybeInfinite = 0.0
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    remedy: str = ""

    @property
    def instructions_per_mac(self) -> float | None:
        """Instructions for each multiply-accumulate; None where one of them is unknown."""
        return self.instructions / self.macs if self.instructions and self.macs else None


@dataclass(frozen=True)
class BoardReport:
    """What a bundle's C variants answer on emulated boards, and what they need there.

    Attributes:
        bundle: The bundle's folder.
        inputs: `golden vectors`, with `(stand-in images)` where they are.
        images: How many of them were run.
        rows: Each variant on each board.
        versions: What the compiler and the emulator say of themselves.
        measured: SHA-256 of every file that was run, by name.
        verdict: `pass`, `fail` or `inconclusive`, with its reasons.
    """

    KIND: ClassVar[str] = "bench-boards"

    bundle: str
    inputs: str
    images: int
    rows: tuple[BoardRow, ...]
    versions: dict[str, str]
    measured: dict[str, str]
    verdict: Verdict


def judge(rows: tuple[BoardRow, ...]) -> Verdict:
    """Give the verdict of all that was run, with every reason once."""
    reasons = tuple(dict.fromkeys(each.problem for each in rows if each.problem))
    if any(each.outcome not in ("pass", "inconclusive") for each in rows):
        return Verdict("fail", reasons)
    return Verdict("inconclusive" if reasons else "pass", reasons)


def raise_unless_right(report: BoardReport) -> None:
    """Raise what was found, if anything is wrong.

    Raises:
        GateFailed: An answer is not what it must be.
        RuntimeCrashed: A program has no answer.
        ModelError: A variant does not fit a board, or cannot be compiled for it.
        Inconclusive: No tolerance says what is near enough.
    """
    for outcome, kind in _ERRORS:
        for each in report.rows:
            if each.outcome == outcome:
                raise kind("\n".join(report.verdict.reasons), each.remedy)
