"""From an image file to the answer, part by part, beside the model alone.

The file is read and decoded, brought to the model's size and colour, made the session's input, and
run. In turn with that the model alone is called on inputs that are ready, as elsewhere in a bench.
The files are warm in the system's cache: a disk is another thing to measure.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from edgecnn.benchmark.scenarios.figures import middle, over_sessions, percentiles
from edgecnn.benchmark.scenarios.turns import Cell, Extent, Scenario
from edgecnn.spec import InputContract
from edgecnn.stats import Interval
from edgecnn.worker import Opened, Prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEWEST_CALLS = 5
_LEAD_CALLS = 2
_QUALITY = 90
_MOST_FILES = 8


@dataclass(frozen=True)
class Pictures:
    """Image files to begin with.

    Attributes:
        files: Where they are.
        what: What they are, for the report.
    """

    files: tuple[Path, ...]
    what: str


@dataclass(frozen=True)
class EndToEndTurn:
    """Answers to image files in one session; one number for each, in order, in nanoseconds.

    Attributes:
        replicate: Counted from 0.
        decode_ns: Reading the file and decoding it.
        resize_ns: To the model's size and colour.
        input_ns: To the session's input: stacking, and normalising where the graph does not.
        run_ns: The engine's call on it.
        model_ns: The engine's call on inputs that are ready, each made after one answer.
    """

    replicate: int
    decode_ns: list[int]
    resize_ns: list[int]
    input_ns: list[int]
    run_ns: list[int]
    model_ns: list[int]

    @property
    def total_ns(self) -> list[int]:
        """From the file to the answer."""
        parts = (self.decode_ns, self.resize_ns, self.input_ns, self.run_ns)
        return [sum(each) for each in zip(*parts, strict=True)]


@dataclass(frozen=True)
class EndToEnd:
    """From an image file to the answer; medians, in seconds.

    Attributes:
        variant: What answered.
        pictures: What it was given.
        answers: How many, in all sessions.
        total_seconds: From the file to the answer; the median of the sums.
        total_p90_seconds: 90th percentile; 29 answers support it.
        total_p99_seconds: 99th percentile; 299 answers.
        interval: The median's 95 % interval over the sessions.
        decode_seconds: Reading the file and decoding it.
        resize_seconds: To the model's size and colour.
        input_seconds: To the session's input.
        run_seconds: The engine's call on it.
        model_seconds: The engine's call on inputs that are ready.
        model_interval: The median's 95 % interval over the sessions.
        ratio: All of it over the model alone, with its 95 % interval over the sessions.
        turns: All of it, raw.
    """

    variant: str
    pictures: str
    answers: int
    total_seconds: float | None
    total_p90_seconds: float | None
    total_p99_seconds: float | None
    interval: Interval | None
    decode_seconds: float | None
    resize_seconds: float | None
    input_seconds: float | None
    run_seconds: float | None
    model_seconds: float | None
    model_interval: Interval | None
    ratio: Interval | None
    turns: tuple[EndToEndTurn, ...]


def named_pictures(files: Sequence[Path], contract: InputContract) -> Pictures:
    """Take a user's image files.

    Raises:
        DataError: One is no picture, or none that the model can be given.
    """
    from PIL import Image

    from edgecnn.images import decode

    texts = []
    for file in files:
        decode(file, contract)
        with Image.open(file) as picture:
            texts.append(f"{file.name} ({picture.format}, {picture.width} x {picture.height})")
    return Pictures(tuple(file.absolute() for file in files), ", ".join(dict.fromkeys(texts)))


def encoded_pictures(pixels: NDArray[np.uint8], contract: InputContract, folder: Path) -> Pictures:
    """Write a model's own images as JPEG files into a folder.

    Args:
        pixels: uint8 [N, height, width, channels]; the first 8 are used.
        contract: What the channels are.
        folder: Where the files go.
    """
    from PIL import Image

    from edgecnn.images import thumbnail

    files = []
    for number, image in enumerate(pixels[:_MOST_FILES]):
        png = thumbnail(image, contract.color, max(contract.height, contract.width))
        file = folder / f"{number}.jpg"
        Image.open(io.BytesIO(png)).save(file, "JPEG", quality=_QUALITY)
        files.append(file)
    size = f"{contract.width} x {contract.height}"
    what = f"{len(files)} of the model's own images as JPEG, {size} already"
    return Pictures(tuple(files), what)


def scenario(
    pictures: Pictures, batch_size: int, contracts: Mapping[str, InputContract], extent: Extent
) -> Scenario:
    """Time answers to image files.

    Args:
        pictures: The files.
        batch_size: Images in one call.
        contracts: How pictures become a variant's input.
        extent: How much.
    """

    def task(name: str, replicate: int) -> partial[EndToEndTurn]:
        return partial(
            answer_files,
            files=pictures.files,
            contract=contracts[name],
            batch_size=batch_size,
            seconds=extent.slot_seconds,
            replicate=replicate,
        )

    def cells(opened: Mapping[str, Opened]) -> Sequence[Cell]:
        lasts = 2 * extent.slot_seconds
        return [Cell(("end to end", name), name, partial(task, name), lasts) for name in opened]

    return Scenario("from image files", list(contracts), cells)


def answer_files(
    held: Prepared,
    *,
    files: Sequence[Path],
    contract: InputContract,
    batch_size: int,
    seconds: float,
    replicate: int,
) -> EndToEndTurn:
    """Answer image files, in turn with calls on inputs that are ready; in the worker."""
    turn = EndToEndTurn(replicate, [], [], [], [], [])
    waiting = cycle(files)
    deadline, lead = 0, _LEAD_CALLS
    while True:
        batch = [next(waiting) for _ in range(batch_size)]
        parts = _answer(held, batch, contract)
        start = time.perf_counter_ns()
        next(held.calls)()
        end = time.perf_counter_ns()
        if lead:
            lead, deadline = lead - 1, end + int(seconds * 1e9)
            continue
        for times, part in zip(_lists(turn), (*parts, end - start), strict=True):
            times.append(part)
        if end >= deadline and len(turn.run_ns) >= _FEWEST_CALLS:
            return turn


def end_to_end(variant: str, pictures: Pictures, turns: Sequence[EndToEndTurn]) -> EndToEnd:
    """Sum up one variant's answers to image files."""
    total = [time for turn in turns for time in turn.total_ns]
    decode, resize, ready, run, model = (
        middle([time for turn in turns for time in _lists(turn)[part]]) for part in range(5)
    )
    p90, _, p99 = percentiles(total)
    return EndToEnd(
        variant=variant,
        pictures=pictures.what,
        answers=len(total),
        total_seconds=middle(total),
        total_p90_seconds=p90,
        total_p99_seconds=p99,
        interval=over_sessions(middle(turn.total_ns) for turn in turns),
        decode_seconds=decode,
        resize_seconds=resize,
        input_seconds=ready,
        run_seconds=run,
        model_seconds=model,
        model_interval=over_sessions(middle(turn.model_ns) for turn in turns),
        ratio=over_sessions(median(turn.total_ns) / median(turn.model_ns) for turn in turns),
        turns=tuple(turns),
    )


def _answer(
    held: Prepared, files: Sequence[Path], contract: InputContract
) -> tuple[int, int, int, int]:
    import numpy as np
    from PIL import Image

    from edgecnn.feeding import feed
    from edgecnn.images import fit

    clock = time.perf_counter_ns
    began = clock()
    with ExitStack() as stack:
        pictures = [stack.enter_context(Image.open(file)) for file in files]
        for picture in pictures:
            picture.load()
        decoded = clock()
        fitted = [fit(picture, contract) for picture in pictures]
        resized = clock()
    inputs = feed(contract, held.variant, held.session, np.stack(fitted))
    call = held.session.prepare(inputs)
    ready = clock()
    call()
    return decoded - began, resized - decoded, ready - resized, clock() - ready


def _lists(turn: EndToEndTurn) -> tuple[list[int], ...]:
    return turn.decode_ns, turn.resize_ns, turn.input_ns, turn.run_ns, turn.model_ns
