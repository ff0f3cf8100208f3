"""Tasks: what else a worker can be asked to do with the session that it holds.

A task is a function at the head of a module, or a `functools.partial` of one; it travels by name,
runs in the worker, and what it gives back must be picklable. So whoever measures something new
writes both sides in one file of his own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from edgecnn.runtime import CheckedSession, Variant

if TYPE_CHECKING:
    from edgecnn.runtime import Arrays


@dataclass(frozen=True)
class Prepared:
    """What a task finds in the worker.

    Attributes:
        session: The open session.
        variant: What it was opened on.
        batches: The inputs that it was fed with, in turn.
        calls: The engine's own calls on them, without end.
    """

    session: CheckedSession
    variant: Variant
    batches: Sequence[Arrays]
    calls: Iterator[Callable[[], object]]


Found = TypeVar("Found")
Task = Callable[[Prepared], Found]
