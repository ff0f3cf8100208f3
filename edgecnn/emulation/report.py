"""What another CPU answered, and what it means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.agreement import Comparison
from edgecnn.errors import EdgeCNNError, GateFailed, Inconclusive, ModelError, RuntimeCrashed
from edgecnn.records import MaybeInfinite
from edgecnn.spec import Verdict

Outcome = Literal["pass", "fail", "inconclusive", "refused", "crashed"]

# What decides the exit code where several things are wrong.
_ERRORS: tuple[tuple[Outcome, type[EdgeCNNError]], ...] = (
    ("refused", ModelError),
    ("fail", GateFailed),
    ("crashed", RuntimeCrashed),
    ("inconclusive", Inconclusive),
)


@dataclass(frozen=True)
class EmulatedVariant:
    """One variant on one emulated CPU.

    Attributes:
        cpu: The CPU, such as `avx2`.
        model: Its name for qemu, such as `Haswell`.
        variant: The variant.
        promised: Its outputs are promised to be equal bit for bit on every CPU.
        outcome: `pass`, `fail` and `inconclusive` are verdicts on its outputs; `refused` ones the
            runtime does not take, and `crashed` is what it did, or that it took too long.
        equal_here: Images with all outputs equal bit for bit to this machine's.
        equal_expected: The same against what the variant answered when it was made; None where the
            bundle does not say.
        other_labels: Images with another likeliest class than on this machine; None where outputs
            are no classes.
        largest_error: The largest difference to this machine's outputs.
        seconds: How long it took, Python's start included; it says nothing of that CPU.
        comparisons: Each output against the golden one, and against what the variant answered when
            it was made.
        problem: What is wrong, as sentences; empty if nothing is.
        remedy: What to do; empty if nothing is wrong.
    """

    cpu: str
    model: str
    variant: str
    promised: bool
    outcome: Outcome
    equal_here: int = 0
    equal_expected: int | None = None
    other_labels: int | None = None
    largest_error: MaybeInfinite = 0.0
    seconds: float = 0.0
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class EmulationReport:
    """What other CPUs answered to a bundle's golden vectors.

    Attributes:
        bundle: The bundle's folder.
        inputs: `golden vectors`, with `(stand-in images)` where they are.
        images: How many of them.
        variants: Each variant on each CPU.
        measured: SHA-256 of every file that was run, by name.
        verdict: `pass`, `fail` or `inconclusive`, with its reasons.
    """

    KIND: ClassVar[str] = "parity-as-cpu"
    VERSION: ClassVar[int] = 2

    bundle: str
    inputs: str
    images: int
    variants: tuple[EmulatedVariant, ...]
    measured: dict[str, str]
    verdict: Verdict


def judge(variants: tuple[EmulatedVariant, ...]) -> Verdict:
    """Give the verdict of all that was run, with every reason once."""
    reasons = tuple(dict.fromkeys(each.problem for each in variants if each.problem))
    if any(each.outcome not in ("pass", "inconclusive") for each in variants):
        return Verdict("fail", reasons)
    return Verdict("inconclusive" if reasons else "pass", reasons)


def raise_unless_alike(report: EmulationReport) -> None:
    """Raise what was found, if anything is wrong.

    Raises:
        ModelError: A runtime refused a variant.
        GateFailed: An answer is not within its tolerance, or not bit for bit what was promised.
        RuntimeCrashed: A process crashed or hung.
        Inconclusive: No tolerance says what is near enough.
    """
    if report.verdict.outcome == "pass":
        return
    for outcome, kind in _ERRORS:
        for each in report.variants:
            if each.outcome == outcome:
                raise kind("\n".join(report.verdict.reasons), each.remedy)
