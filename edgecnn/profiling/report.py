"""What a profile found: the time of every operator, what bounds it, and what would help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from edgecnn.options import FP32

Bound = Literal["arithmetic", "memory", "dispatch", "code"]
Role = Literal["compute", "preprocessing", "layout", "conversion"]
Arithmetic = Literal["fp32", "int8", ""]
Timing = Literal["profile", "prefixes"]


@dataclass(frozen=True)
class Peak:
    """The best that this machine was seen to do, by this many threads.

    Attributes:
        what: `fp32` or `int8` arithmetic, or the memory that was read and written: `L1`, `L2`,
            `L3`, `DRAM`.
        rate: Operations (a multiply-accumulate is two) or bytes in a second.
        spread: How far the median of the repeats lies below the best, as a share of it.
        how: What was run, in a few words.
        bytes: Of a memory, the largest working set that it is taken to hold; 0 of arithmetic, and
            of DRAM, which holds everything.
    """

    what: str
    rate: float
    spread: float
    how: str
    bytes: int = 0


@dataclass(frozen=True)
class Peaks:
    """A machine's measured peaks, which are the roofs of its roofline.

    Attributes:
        threads: By how many threads.
        runtime: The runtime that computed, with its version.
        cpu: The processor.
        measured: When, UTC, ISO 8601.
        cached: They were measured in an earlier run, on the same machine.
        arithmetic: Peaks of arithmetic, operations per second.
        memory: Peaks of memory, bytes per second, the smallest memory first.
        dispatch_seconds: What an operator takes that has next to nothing to do.
        call_seconds: What a call of a model takes that has no operator: Python and the engine.
        clock_seconds: What the engine's profile adds to the time of an operator that does nothing.
    """

    threads: int
    runtime: str
    cpu: str
    measured: str
    cached: bool
    arithmetic: tuple[Peak, ...]
    memory: tuple[Peak, ...]
    dispatch_seconds: float
    call_seconds: float
    clock_seconds: float


@dataclass(frozen=True)
class OperatorProfile:
    """One operator of the graph as the runtime runs it, in the order in which they ran.

    Attributes:
        name: The runtime's name for it.
        operator: Its kind, such as `Conv` or `com.microsoft:QLinearConv`.
        layers: Names of the model's layers that it computes, as `edgecnn inspect` shows them; more
            than one where the runtime fused them, none where it inserted the operator.
        role: `compute`; `preprocessing`, what turns pixels into the model's input; `layout`, which
            only moves data (Transpose, reorders, copies); `conversion` (Cast, Quantize,
            Dequantize).
        seconds: Its time in one run, the interquartile mean, without what profiling adds.
        low: First quartile of its times, seconds.
        high: Third quartile of its times, seconds.
        share: Of the model's time, 0 to 1.
        shape: Shape of its first output.
        macs: Multiply-accumulates of the layers in it; None if unknown.
        operations: Arithmetic operations: two for each multiply-accumulate, one for each element
            of what else computes; None if unknown.
        arithmetic: Which peak its operations are held against; empty where there are none.
        bytes_in: Activations that it reads.
        bytes_weights: Constants that it reads.
        bytes_out: Activations that it writes.
        memory: The memory that all these together fit into: names a peak.
        bound: What bounds it: the largest of the three times below; `code`, the engine's own for
            this kind and shape, where even that is less than a quarter of its time.
        arithmetic_seconds: Its operations at the peak of arithmetic.
        memory_seconds: Its bytes at the peak of that memory.
        dispatch_seconds: What an operator takes that has nothing to do.
        reached: The largest of the three as a share of its time, at most 1: how near it is to what
            bounds it.
        peak_share: Its operations per second as a share of the peak; None without operations.
    """

    name: str
    operator: str
    layers: tuple[str, ...]
    role: Role
    seconds: float
    low: float
    high: float
    share: float
    shape: tuple[int, ...] | None
    macs: int | None
    operations: int | None
    arithmetic: Arithmetic
    bytes_in: int
    bytes_weights: int
    bytes_out: int
    memory: str
    bound: Bound
    arithmetic_seconds: float
    memory_seconds: float
    dispatch_seconds: float
    reached: float
    peak_share: float | None

    @property
    def bytes(self) -> int:
        """All bytes that it reads and writes."""
        return self.bytes_in + self.bytes_weights + self.bytes_out


@dataclass(frozen=True)
class Unfused:
    """A quantized place that the runtime computes in float all the same, or converts around.

    Attributes:
        layer: The model's layer, or the tensor between two.
        operator: What the runtime runs there.
        reason: Why it is not an integer operator.
        seconds: What this costs in one run: the operator and the conversions around it.
    """

    layer: str
    operator: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Inserted:
    """Operators of one kind that the runtime added to the model's own.

    Attributes:
        operator: Such as `ReorderOutput`, `Transpose` or `Cast`.
        count: How many.
        seconds: Their time in one run.
        why: What they are for.
    """

    operator: str
    count: int
    seconds: float
    why: str


@dataclass(frozen=True)
class VariantProfile:
    """Where the time of one variant goes.

    `latency_seconds` is the sum of the operators' times, `call_seconds` and `unattributed_seconds`.

    All times are of the quicker half of the runs, which other work on the machine disturbed least:
    compare variants with `edgecnn bench`.

    Attributes:
        variant: Its name.
        precision: Its precision.
        runs: Runs in which the operators were timed.
        latency_seconds: Median time of a run without profiling, in turn with those that were.
        profiled_seconds: Median time of a run with profiling.
        timing: How operators were timed. `profile`: by the runtime's own profile. `prefixes`, for
            nets that run in half a millisecond or less: as differences between runs of the graph
            up to each operator and up to the one before, without the profile, which adds more to
            a small operator than it takes.
        clock_seconds: What the profile adds to each operator, already taken off: what makes their
            times sum to a run's, but no less than what it adds to operators that do nothing, and
            no more than three times that; 0 where it was not used.
        operators_seconds: Time in operators.
        call_seconds: Time of a call outside all operators, as measured on an empty model.
        unattributed_seconds: What is left: between the operators, and the error of measuring;
            below 0 where the operators' times sum to more than the run's.
        operators: Every operator, in the order in which they ran.
        bounds: Seconds in operators by what bounds them.
        unfused: Quantized places that are not computed in integers.
        inserted: What the runtime added.
        removed: Layers that the runtime needs no operator for.
        advice: What would help, most helpful first.
    """

    variant: str
    precision: str
    runs: int
    latency_seconds: float
    profiled_seconds: float
    timing: Timing
    clock_seconds: float
    operators_seconds: float
    call_seconds: float
    unattributed_seconds: float
    operators: tuple[OperatorProfile, ...]
    bounds: dict[str, float]
    unfused: tuple[Unfused, ...]
    inserted: tuple[Inserted, ...]
    removed: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class ProfileSetup:
    """Under which conditions a profile was taken; as a bench's `Setup`.

    Attributes:
        runtime: The runtime's name.
        provider: Where it computed.
        threads: Threads within an operator.
        versions: Versions of the packages that the runtime uses.
        batch_size: Samples in one run.
        images: What went in.
        precision: What float32 operators computed in, as the runtime reports it.
        options: The runtime's own options that were given.
    """

    runtime: str
    provider: str
    threads: int
    versions: dict[str, str]
    batch_size: int
    images: str
    # A report of version 1 has none of these.
    precision: str = FP32
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProfileReport:
    """What `edgecnn profile` found.

    Attributes:
        setup: Under which conditions.
        peaks: The machine's measured roofs.
        variants: Each variant's operators.
    """

    KIND: ClassVar[str] = "profile"
    VERSION: ClassVar[int] = 2

    setup: ProfileSetup
    peaks: Peaks
    variants: tuple[VariantProfile, ...]
