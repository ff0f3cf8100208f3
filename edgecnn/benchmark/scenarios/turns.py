"""Taking turns: every variant in fresh processes, one after the other, there and back.

A scenario is a list of cells. In each replicate every variant is opened anew, and each cell gets
one turn; the next replicate takes them in the opposite order, so that a steady drift cancels out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from edgecnn.benchmark.engine import Subject
from edgecnn.benchmark.samples import Failure
from edgecnn.benchmark.warmup import warm_up
from edgecnn.errors import EdgeCNNError, RuntimeCrashed
from edgecnn.progress import Progress
from edgecnn.worker import Opened, Task, Worker

_REPLICATES = 4


@dataclass(frozen=True)
class Extent:
    """How much of each scenario is measured.

    Attributes:
        seconds: How long each variant is measured in all, about.
        replicates: How often everything is opened anew.
    """

    seconds: float
    replicates: int = _REPLICATES

    @property
    def slot_seconds(self) -> float:
        """Time for one variant in one replicate."""
        return self.seconds / self.replicates


@dataclass(frozen=True)
class Cell:
    """One variant in one condition.

    Attributes:
        key: What is measured: the variant's name and the condition.
        lane: Whose worker does it.
        task: Gives what the worker does in a replicate.
        seconds: About how long that takes.
    """

    key: tuple[Any, ...]
    lane: str
    task: Callable[[int], Task[Any]]
    seconds: float


@dataclass(frozen=True)
class Scenario:
    """Cells that take turns.

    Attributes:
        title: What is measured, for who waits.
        lanes: Whose.
        cells: Gives them, once it is known what was opened: by lane.
        offset_seconds: Where turns may overlap, each waiting most of the time: begin the next one
            this much later. None where each has the machine for itself.
    """

    title: str
    lanes: Sequence[str]
    cells: Callable[[Mapping[str, Opened]], Sequence[Cell]]
    offset_seconds: Callable[[int], float] | None = None


@dataclass
class Turns:
    """What was measured so far.

    Attributes:
        found: What the workers gave back, by key, in the order in which it came.
        failures: Why lanes could not go on, by name.
        refused: Why optional lanes could not be opened, by name.
        opened: What was opened, by lane.
        replicates: How many were finished.
        unsteady: Lanes whose times had not come to rest when the turns began.
    """

    found: dict[tuple[Any, ...], list[Any]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    refused: dict[str, EdgeCNNError] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    replicates: int = 0
    unsteady: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Extra:
    """A lane of its own that is opened where it makes sense.

    Attributes:
        subject: What to open.
        beside: The lane that it belongs to.
        useful: Says of what was opened there whether to.
    """

    subject: Subject
    beside: str
    useful: Callable[[Opened], bool]


def take_turns(
    turns: Turns,
    subjects: Sequence[Subject],
    scenarios: Sequence[Scenario],
    *,
    extras: Sequence[Extra] = (),
    warmup_runs: int | None = None,
    deadline: float = math.inf,
    progress: Progress,
    replicates: int = _REPLICATES,
) -> None:
    """Measure scenarios; what was measured stays in `turns` if it is interrupted.

    Args:
        turns: Takes what is found.
        subjects: What to measure.
        scenarios: How.
        extras: What else to open.
        warmup_runs: Runs of each session beforehand; found where None.
        deadline: By `time.perf_counter`: only the first replicate may last longer.
        progress: Called with a line of text and the share (0 to 1) that is done.
        replicates: How often everything is opened anew.

    Raises:
        EdgeCNNError: A variant cannot be opened; a crash or a hang is only recorded.
    """
    longest = 0.0
    for replicate in range(replicates):
        began = time.perf_counter()
        if replicate and began + longest > deadline:
            return
        with ExitStack() as stack:
            lanes = _open_all(turns, subjects, extras, warmup_runs, stack)
            for number, scenario in enumerate(scenarios):
                share = (replicate + number / len(scenarios)) / replicates
                progress(scenario.title, share)
                _take(turns, scenario, lanes, replicate)
        turns.replicates += 1
        longest = max(longest, time.perf_counter() - began)


def _open_all(
    turns: Turns,
    subjects: Sequence[Subject],
    extras: Sequence[Extra],
    warmup_runs: int | None,
    stack: ExitStack,
) -> dict[str, Worker]:
    lanes: dict[str, Worker] = {}

    def add(subject: Subject) -> None:
        with _recording_crash(turns, subject.name):
            worker = stack.enter_context(subject.start())
            turns.opened[subject.name] = _open(turns, worker, subject, warmup_runs)
            lanes[subject.name] = worker

    for subject in subjects:
        if subject.name not in turns.failures:
            add(subject)
    for extra in extras:
        name, beside = extra.subject.name, turns.opened.get(extra.beside)
        if name in turns.failures or name in turns.refused or beside is None:
            continue
        if extra.useful(beside):
            try:
                add(extra.subject)
            except EdgeCNNError as error:
                turns.refused[name] = error
    return lanes


def _open(turns: Turns, worker: Worker, subject: Subject, warmup_runs: int | None) -> Opened:
    place = subject.place
    opened = worker.open(
        subject.variant,
        runtime=place.runtime,
        provider=place.provider,
        threads=place.threads,
        options=place.options,
    )
    worker.feed(subject.batches(opened))
    worker.run(1)
    warmup, _ = warm_up(worker, warmup_runs)
    if warmup.steady is False:
        turns.unsteady.add(subject.name)
    return opened


def _take(turns: Turns, scenario: Scenario, lanes: Mapping[str, Worker], replicate: int) -> None:
    opened = {name: turns.opened[name] for name in scenario.lanes if name in lanes}
    if not opened:
        return  # all have failed
    cells = [cell for cell in scenario.cells(opened) if cell.lane in lanes]
    cells = cells[::-1] if replicate % 2 else cells
    if not cells:
        return
    if scenario.offset_seconds:
        offset = scenario.offset_seconds(len(cells))
        _together(turns, cells, lanes, replicate, offset)
        return
    for cell in cells:
        _together(turns, [cell], lanes, replicate, 0.0)


def _together(
    turns: Turns,
    cells: Sequence[Cell],
    lanes: Mapping[str, Worker],
    replicate: int,
    offset: float,
) -> None:
    for number, cell in enumerate(cells):
        if cell.lane not in turns.failures:
            with _recording_crash(turns, cell.lane):
                lanes[cell.lane].begin(cell.task(replicate))
        if number + 1 < len(cells):
            time.sleep(offset)
    for cell in cells:
        if cell.lane not in turns.failures:
            with _recording_crash(turns, cell.lane):
                found = lanes[cell.lane].result(cell.seconds)
                turns.found.setdefault(cell.key, []).append(found)


@contextmanager
def _recording_crash(turns: Turns, name: str) -> Iterator[None]:
    try:
        yield
    except RuntimeCrashed as crash:
        turns.failures[name] = Failure(name, crash.problem, crash.remedy)


def without_spinning(subject: Subject) -> Subject:
    """Give the same subject, whose threads sleep while they wait."""
    options = dict(subject.place.options or {}) | {"spinning": "off"}
    place = replace(subject.place, options=options)
    return replace(subject, name=f"{subject.name} without spinning", place=place)
