"""Predictions as a stream: pictures are read, answered and given away a few at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn import images as pictures
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.deployment import how_or_warn
from edgecnn.errors import DataError, InputError, RuntimeCrashed
from edgecnn.machine import allowed_cores
from edgecnn.options import Options, engine_name
from edgecnn.prediction.sources import STDIN, Note, Source, Stdin, display, find_pictures
from edgecnn.predictor import Answer, Prediction, Predictor, default_variant, load
from edgecnn.spec import InputContract

_MOST_READERS = 8  # each may hold a picture of up to `max_pixels`


@dataclass(frozen=True)
class Found:
    """What a model says of one picture.

    Attributes:
        image: Its path, or `-` for a picture from stdin.
        ranked: The likeliest classes, the likeliest first; empty if the outputs are no classes.
        outputs: The outputs that hold no scores of classes, by their names, without the batch.
        notes: What should be known of how the picture was read.
        error: Why there is no answer; empty if there is one.
    """

    image: str
    ranked: tuple[Answer, ...] = ()
    outputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Predictions:
    """What a variant says of some pictures.

    Attributes:
        bundle: The bundle's folder.
        variant: The variant that answers.
        runtime: The runtime that runs it.
        provider: Where it computes, as the runtime reports it.
        labels: Names of the classes; empty if they are unknown.
        measured: SHA-256 of the variant's files, by name.
        precision: What float32 operators compute in, as the runtime reports it.
        options: The runtime's own options that were given.
        images: One for each picture, computed when it is asked for, once. The session is closed
            after the last.
    """

    bundle: str
    variant: str
    runtime: str
    provider: str
    labels: tuple[str, ...]
    measured: dict[str, str]
    precision: str
    options: dict[str, str]
    images: Iterator[Found]

    @property
    def engine(self) -> str:
        """Runtime, provider and how it computes, for people."""
        return engine_name(self.runtime, self.provider, self.precision, self.options)


def predict(
    bundle: Bundle | Path | str,
    images: Path | str | Iterable[Path | str],
    *,
    top: int = 5,
    variant: str | None = None,
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    max_pixels: int = pictures.MAX_PIXELS,
    stdin: Stdin | None = None,
    note: Note = lambda text: None,
) -> Predictions:
    """Say what is seen in pictures: any number, with memory for a few.

    Args:
        bundle: A bundle or its folder.
        images: Files, folders or patterns, as `find_pictures` takes them.
        top: How many of the likeliest classes to give; all of them if there are fewer.
        variant: As in `edgecnn.load`: where nothing is said of how to run, it is the deployment.
        runtime: Name or path of the runtime; `ort` by default.
        provider: Where to compute; the runtime's first provider by default.
        threads: Threads within an operator, and to read pictures; by default the cores allowed.
        options: The runtime's own options.
        batch_size: Pictures in one run; by default what 1 MiB of float32 input hold, and one where
            `-` is read, so that each answer comes as soon as its path does.
        time_limit: As in `edgecnn.load`.
        memory_limit: As in `edgecnn.load`.
        max_pixels: Pictures with more pixels are refused before they are unpacked.
        stdin: What `-` stands for; without it, `-` is a file's name.
        note: Called with what should be known of what was left out.

    Returns:
        The variant and the stream. A picture that cannot be read has an `error` in the stream, and
        the others go on. Where the engine crashes, those that it was given have one, and the
        stream ends with `RuntimeCrashed`.

    Raises:
        InputError: `top`, `max_pixels` or `batch_size` leaves nothing.
        BundleError: The bundle or the variant is missing, stale or damaged.
        UnavailableError: The runtime, provider or precision is not to be had here.
    """
    _refuse_nothing(top=top, max_pixels=max_pixels)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    given = [images] if isinstance(images, str | Path) else list(images)
    places = [os.fspath(place) for place in given]
    how = how_or_warn(
        opened,
        variant=variant,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        batch_size=batch_size,
    )
    name, batch_size = how.variant or default_variant(opened), how.batch_size
    live = stdin is not None and STDIN in places
    if live and batch_size is None and opened.variant(name).batch == "dynamic":
        batch_size = 1
    predictor = load(
        opened,
        variant=name,
        runtime=how.runtime,
        provider=how.provider,
        threads=how.threads,
        options=how.options,
        batch_size=batch_size,
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    sources = find_pictures(places, stdin=stdin, max_pixels=max_pixels, note=note)
    readers = min(threads or allowed_cores(), _MOST_READERS)
    ahead = predictor.batch_size if live else max(predictor.batch_size, 2 * readers)
    return Predictions(
        bundle=str(opened.folder),
        variant=name,
        runtime=predictor.session.runtime,
        provider=predictor.session.provider,
        labels=opened.manifest.contract.labels,
        measured={file: opened.files[file].sha256 for file in opened.variant(name).files},
        precision=predictor.session.precision,
        options=predictor.session.options,
        images=_stream(predictor, sources, top, max_pixels, readers=readers, ahead=ahead),
    )


@dataclass(frozen=True)
class _Picture:
    source: Source
    pixels: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()
    error: str = ""


def _refuse_nothing(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise InputError(f"{name}={number} leaves no answer.", "Use 1 or more.")


def _stream(
    predictor: Predictor,
    sources: Iterator[Source],
    top: int,
    max_pixels: int,
    *,
    readers: int,
    ahead: int,
) -> Iterator[Found]:
    read = partial(_read, contract=predictor.contract, max_pixels=max_pixels)
    with predictor, ThreadPoolExecutor(readers) as pool:
        while chunk := list(islice(sources, ahead)):
            with pictures.allowing(max_pixels):
                batch = list(pool.map(read, chunk))
            try:
                found = list(_answered(predictor, batch, top))
            except RuntimeCrashed as crash:
                yield from (_unanswered(picture, crash) for picture in batch)
                raise
            yield from found


def _unanswered(picture: _Picture, crash: RuntimeCrashed) -> Found:
    return Found(picture.source.name, error=picture.error or crash.problem)


def _read(source: Source, contract: InputContract, max_pixels: int) -> _Picture:
    name = display(source.name)
    if source.problem:
        return _Picture(source, error=f"{name} cannot be used: {source.problem}.")
    try:
        found = pictures.read(source.content, contract, name=name, max_pixels=max_pixels)
    except DataError as error:
        return _Picture(source, error=error.problem)
    notes = ("Only the first of its frames was read.",) if found.animated else ()
    return _Picture(source, found.pixels, notes)


def _answered(predictor: Predictor, batch: Sequence[_Picture], top: int) -> Iterator[Found]:
    read = [picture.pixels for picture in batch if picture.pixels is not None]
    outputs = predictor.run_all(np.stack(read)) if read else {}
    ranked: list[Prediction] = []
    if read and predictor.contract.output_kind != "other":
        ranked = predictor.rank(outputs.pop(predictor.output), top)
    place = 0
    for picture in batch:
        name, notes = picture.source.name, picture.notes
        if picture.pixels is None:
            yield Found(name, error=picture.error)
            continue
        answers = ranked[place].ranked if ranked else ()
        others = {output: values[place] for output, values in outputs.items()}
        yield Found(name, answers, others, notes)
        place += 1
