"""What passes between a worker and the process that asks it."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn import errors
from edgecnn.errors import EdgeCNNError, Requirement, UnavailableError
from edgecnn.runtime import TensorSpec


@dataclass(frozen=True)
class Opened:
    """What a worker opened, and how long each part of it took.

    Attributes:
        runtime: The runtime's name.
        provider: Where it computes, as the runtime reports it.
        threads: Threads within an operator.
        inputs: What goes in.
        outputs: What comes out.
        versions: Versions of the packages that the runtime uses.
        import_seconds: Loading the adapter and its engine.
        load_seconds: Making the session from the file.
        precision: What its float32 operators compute in.
    """

    runtime: str
    provider: str
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str]
    import_seconds: float
    load_seconds: float
    precision: str = "fp32"


@dataclass(frozen=True)
class Timed:
    """Calls that were timed one by one.

    Attributes:
        times_ns: Time of each call, in nanoseconds.
        idle: Afterwards the engine's threads stopped using the CPU; False if nobody waited.
        cpu_ns: CPU time of all threads of the process during the timed calls.
        settle_cpu_ns: CPU time after the last call until the threads were idle.
    """

    times_ns: list[int]
    idle: bool
    cpu_ns: int = 0
    settle_cpu_ns: int = 0


@dataclass(frozen=True)
class Usage:
    """What a worker has used so far: Python, the engine and the model together.

    Attributes:
        resident_bytes: Memory that is resident now; 0 if unknown.
        peak_bytes: The most that ever was; 0 if unknown.
        cpu_seconds: CPU time of all its threads.
    """

    resident_bytes: int
    peak_bytes: int
    cpu_seconds: float


@dataclass(frozen=True)
class Failure:
    """An error on its way: the name of its class in `edgecnn.errors`, and what it says."""

    kind: str
    problem: str
    remedy: str
    requirements: tuple[Requirement, ...]

    def error(self) -> EdgeCNNError:
        """Make the error again."""
        kind = getattr(errors, self.kind)
        extra = {"requirements": self.requirements} if kind is UnavailableError else {}
        error: EdgeCNNError = kind(self.problem, self.remedy, **extra)
        return error
