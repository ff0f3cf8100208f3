"""Every error that edgecnn raises on purpose, and the exit code of each branch.

EdgeCNNError
├── GateFailed            1  a gate was set and not met
├── InputError            2  wrong usage, input, bundle or disk
│   ├── DataError            images or labels that cannot be used
│   ├── ModelError           a model, weights or graph that cannot be used
│   ├── RecipeError          a recipe that cannot be read
│   └── BundleError          a bundle that is missing, damaged, stale or locked
├── UnavailableError      3  the environment or provider is not what was asked
├── RuntimeCrashed        4  a runtime crashed, hung or ran out of memory
└── Inconclusive          5  no verdict can be given, or the run is not valid
"""

from __future__ import annotations

from dataclasses import dataclass


class EdgeCNNError(Exception):
    """A problem in one sentence, and the remedy that can be pasted.

    Args:
        problem: What was asked for and what is wrong, as one sentence.
        remedy: What to do or type; empty if nothing helps.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class GateFailed(EdgeCNNError):
    """A gate was set and not met."""

    exit_code = 1


class InputError(EdgeCNNError):
    """Wrong usage, input, bundle or disk."""

    exit_code = 2


class DataError(InputError):
    """Images or labels that cannot be used."""


class ModelError(InputError):
    """A model, its weights or a graph that cannot be used."""


class RecipeError(InputError):
    """A recipe that cannot be read."""


class BundleError(InputError):
    """A bundle that is missing, damaged, stale or locked."""


@dataclass(frozen=True)
class Requirement:
    """One thing an environment must have: what is needed, and what was found."""

    name: str
    needed: str
    found: str
    ok: bool


class UnavailableError(EdgeCNNError):
    """The environment or provider is not what was asked.

    Args:
        problem: As in EdgeCNNError.
        remedy: As in EdgeCNNError.
        requirements: What was needed against what was found, for a table.
    """

    exit_code = 3

    def __init__(
        self, problem: str, remedy: str = "", requirements: tuple[Requirement, ...] = ()
    ) -> None:
        super().__init__(problem, remedy)
        self.requirements = requirements


class RuntimeCrashed(EdgeCNNError):
    """A runtime crashed, hung or ran out of memory."""

    exit_code = 4


class Inconclusive(EdgeCNNError):
    """No verdict can be given, or the run is not valid."""

    exit_code = 5
