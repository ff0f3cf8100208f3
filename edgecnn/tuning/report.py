"""What a tuning found: every candidate, what became of it, and the runs that decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from edgecnn.benchmark.estimate import LatencyComparison
from edgecnn.benchmark.samples import Samples
from edgecnn.conditions import Conditions, Doubt
from edgecnn.deployment import place_in_words
from edgecnn.options import FP32, PRECISION
from edgecnn.stats import Interval

State = Literal["measured", "failed", "answers differ", "not tried"]
Outcome = Literal["faster", "no better", "inconclusive"]


@dataclass(frozen=True)
class Candidate:
    """A way to run a bundle.

    Attributes:
        variant: Name of the variant.
        runtime: Name or path of the runtime.
        provider: Where it computes.
        threads: Threads within an operator.
        precision: What float32 operators compute in.
        options: The runtime's own options, where they differ from its defaults.
    """

    variant: str
    runtime: str
    provider: str
    threads: int
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called; no two candidates have the same name."""
        place = (self.variant, self.runtime, self.provider, self.threads)
        return place_in_words(*place, self.precision, self.options)

    @property
    def given(self) -> dict[str, str]:
        """The options with which its session is opened."""
        reduced = {} if self.precision == FP32 else {PRECISION: self.precision}
        return reduced | self.options


@dataclass(frozen=True)
class LeftOut:
    """Something that could have been a candidate here, and why it is none.

    Attributes:
        what: A runtime, a variant or a precision.
        reason: Why, as a sentence.
        remedy: The command that helps; empty where none does.
    """

    what: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class AnswerCheck:
    """Whether a way to run a bundle answers right.

    Attributes:
        name: What was checked.
        against: What its answers were held against.
        right: They are right; None where the images cannot tell, which is not enough to win.
        reasons: What was found, in sentences.
        drop: Loss of accuracy against the default, where that was measured; a share of 1.
    """

    name: str
    against: str
    right: bool | None
    reasons: tuple[str, ...]
    drop: Interval | None = None


@dataclass(frozen=True)
class Row:
    """A candidate and what became of it.

    Attributes:
        candidate: What it is.
        name: What it is called.
        state: What became of it.
        ratio: Its time over the default's in the search, with a 95 % interval; None where it was
            not measured. The best of many looks better there than it is: see `Final`.
        replicates: Rounds of fresh processes, two of each candidate, that the ratio comes from.
        why: Why it was not measured, or not to the end; empty if it was.
    """

    candidate: Candidate
    name: str
    state: State
    ratio: Interval | None
    replicates: int
    why: str = ""


@dataclass(frozen=True)
class Round:
    """One round of the search.

    Attributes:
        stage: `engines`: variants, runtimes, threads; or `options`: those of the best of them.
        measured: Names of the candidates, the default left out.
        replicates: How often each was opened anew.
        kept: Names of those that went on.
        seconds: How long it took.
    """

    stage: str
    measured: tuple[str, ...]
    replicates: int
    kept: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Final:
    """The second, independent run: the best of the search against the default, in fresh processes.

    Attributes:
        comparisons: Each finalist against the default, then the finalists against one another.
        valid: The figures may be believed.
        reasons: Why not.
        doubts: Everything that makes them doubtful, with remedies.
        samples: Everything that was measured in it, raw; nothing of the search.
        conditions: What the machine was like meanwhile.
        seconds: How long it took.
    """

    comparisons: tuple[LatencyComparison, ...]
    valid: bool
    reasons: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    samples: Samples
    conditions: Conditions | None
    seconds: float


@dataclass(frozen=True)
class TuneReport:
    """What a tuning found.

    Attributes:
        default: Name of what runs where nobody tunes.
        chosen: Name of what is best; the default where nothing is better. None where the run
            cannot tell.
        outcome: Whether the chosen one is `faster` than the default or `no better`, or the run was
            `inconclusive`.
        verdict: The outcome in words.
        rows: Every candidate, the default first, then the fastest first.
        left_out: What is no candidate here, and why.
        checks: Whether they answer right.
        rounds: The search, round by round.
        final: The run that decides; None where none was needed or reached.
        images: What they were measured on.
        batch_size: Images in one call.
        max_drop: Largest loss of accuracy allowed, a share of 1; None where answers must agree
            with the golden vectors.
        budget_seconds: What everything was to take.
        seconds: What it took.
        interrupted: It was stopped.
        measured: SHA-256 of every file that was measured, by name.
    """

    KIND: ClassVar[str] = "tune"
    VERSION: ClassVar[int] = 1

    default: str
    chosen: str | None
    outcome: Outcome
    verdict: str
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    checks: tuple[AnswerCheck, ...]
    rounds: tuple[Round, ...]
    final: Final | None
    images: str
    batch_size: int
    max_drop: float | None
    budget_seconds: float
    seconds: float
    interrupted: bool
    measured: dict[str, str]
