"""What verifying found, and what it means for the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgecnn.agreement import Comparison
from edgecnn.errors import (
    BundleError,
    EdgeCNNError,
    GateFailed,
    Inconclusive,
    ModelError,
    Requirement,
    RuntimeCrashed,
    UnavailableError,
)
from edgecnn.spec import Verdict

Outcome = Literal[
    "pass",
    "fail",
    "inconclusive",
    "damaged",
    "stale",
    "refused",
    "unavailable",
    "crashed",
    "not run",
]

COPY = "Copy the bundle anew from where it was made, or make it again there."

# What decides the exit code where several things are wrong.
_ERRORS: tuple[tuple[tuple[Outcome, ...], type[EdgeCNNError]], ...] = (
    (("damaged", "stale"), BundleError),
    (("refused",), ModelError),
    (("fail",), GateFailed),
    (("crashed",), RuntimeCrashed),
    (("unavailable",), UnavailableError),
    (("inconclusive", "not run"), Inconclusive),
)


@dataclass(frozen=True)
class FileCheck:
    """One file against what the manifest says of it.

    Attributes:
        name: Its name in the bundle.
        size: Bytes that were found; 0 if there is no such file.
        sha256: Digest of what was found; empty if it was not read, for its size settles it.
        problem: Why it is not what was written; empty if it is.
    """

    name: str
    size: int
    sha256: str
    problem: str


@dataclass(frozen=True)
class VariantCheck:
    """One variant on one runtime and provider.

    Attributes:
        name: The variant; empty where the bundle has none.
        runtime: The runtime that ran it, or was to; empty if none was.
        provider: Where it computed, as the runtime reports it; empty if it did not run.
        outcome: `pass`, `fail` and `inconclusive` are verdicts on its outputs. `damaged` and
            `stale` variants are not run; `refused` ones the runtime does not take, `unavailable` is
            the runtime, and `crashed` what it did.
        comparisons: Each output against the golden one, and against what the variant answered when
            it was made.
        problem: What is wrong, as sentences; empty if nothing is.
        remedy: What to do; empty if nothing is wrong.
        requirements: What an unavailable runtime needs, against what was found.
    """

    name: str
    runtime: str
    provider: str
    outcome: Outcome
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    remedy: str = ""
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True)
class VerifyReport:
    """Whether a bundle is what was written, and answers here as it should.

    Attributes:
        bundle: The bundle's folder.
        digest: The manifest's own digest, which seals all others.
        inputs: `golden vectors`, with `(stand-in images)` where they are; empty if nothing was run.
        images: How many of them.
        files: Every file that was checked.
        contradictions: What cannot be true together, although every digest is right.
        variants: Each variant on each runtime and provider.
        notes: What is no fault and should be known.
        measured: SHA-256 of every file that was read, by name.
        verdict: `pass`, `fail` or `inconclusive`, with its reasons.
    """

    KIND: ClassVar[str] = "verify"
    VERSION: ClassVar[int] = 2

    bundle: str
    digest: str
    inputs: str
    images: int
    files: tuple[FileCheck, ...]
    contradictions: tuple[str, ...]
    variants: tuple[VariantCheck, ...]
    notes: tuple[str, ...]
    measured: dict[str, str]
    verdict: Verdict


def raise_unless_sound(report: VerifyReport) -> None:
    """Raise what a report means for the exit code; nothing if its verdict is `pass`.

    Raises:
        BundleError: A file is not what was written, a variant is stale, or something contradicts.
        ModelError: A runtime does not take a variant.
        GateFailed: A variant answers something else than it should.
        RuntimeCrashed: A runtime crashed or hung.
        UnavailableError: A runtime or provider is not to be had here.
        Inconclusive: Nothing was run, or no tolerance says what is near enough.
    """
    if report.verdict.outcome == "pass":
        return
    problem = "\n".join(report.verdict.reasons)
    if report.contradictions or any(file.problem for file in report.files):
        raise BundleError(problem, COPY)
    for outcomes, kind in _ERRORS:
        for check in report.variants:
            if check.outcome not in outcomes or not check.problem:
                continue
            if kind is UnavailableError:
                raise UnavailableError(problem, check.remedy, check.requirements)
            raise kind(problem, check.remedy)


def judge(
    files: Sequence[FileCheck], contradictions: Sequence[str], checks: Sequence[VariantCheck]
) -> Verdict:
    """Give the verdict of all that was checked, with every reason once."""
    wrong = [*(file.problem for file in files if file.problem), *contradictions]
    reasons = [*wrong, *(check.problem for check in checks if check.problem)]
    calm = {"pass", "inconclusive", "not run"}
    if wrong or any(check.outcome not in calm for check in checks):
        return Verdict("fail", tuple(dict.fromkeys(reasons)))
    return Verdict("inconclusive" if reasons else "pass", tuple(dict.fromkeys(reasons)))
