"""Where two runtimes, two variants or two files part: the first tensor that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn.agreement.gates import judge_all
from edgecnn.agreement.layers.comparing import compare_layers
from edgecnn.agreement.layers.report import LayerComparison, LayersReport
from edgecnn.agreement.layers.sessions import Placed
from edgecnn.agreement.layers.sources import (
    ONNX,
    Given,
    Source,
    file_source,
    golden_images,
    picture_source,
    plain_inputs,
    variant_source,
)
from edgecnn.agreement.layers.wording import remarks
from edgecnn.agreement.sides import Engine, engines, told
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import InputError
from edgecnn.options import Options
from edgecnn.plain import Request, existing_file, is_file_name, open_files
from edgecnn.progress import Progress
from edgecnn.runtime import load_runtime
from edgecnn.worker import WorkerLimits

_SESSIONS = 5
_ON_GOLDEN = "A bundle is compared on its golden vectors."
Pair = tuple[Placed, Placed]


def parity_layers(
    model: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    against: Bundle | Path | str | None = None,
    *,
    runtime: str | Sequence[str] = "ort",
    provider: str | Sequence[str] | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    inputs: Path | str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> LayersReport:
    """Name the first tensor at which models differ by more than rounding.

    Copies of the graphs, with the tensors inside them as further outputs, are run on a few of a
    bundle's golden vectors, or on a plain file's inputs. What rounding explains is said at
    `LayerComparison`. Engines fuse less in such copies: their outputs are held against those of the
    files as they are.

    Args:
        model: As in `parity`.
        variants: Variants of the bundle; by default all that are ONNX files, but for `against`.
        against: As in `parity`; a file that is held against a bundle is held against its first
            variant.
        runtime: One runtime or several; without `against`, each is held against the first.
        provider: One provider or several; each runtime is run on each.
        threads: Threads within an operator; by default the cores that this process may use.
        options: As in `parity`.
        batch_size: Samples in one run; by default few enough for the memory.
        seed: Seed of random inputs.
        inputs: As in `parity`.
        input_shapes: As in `parity`.
        time_limit: As in `parity`.
        memory_limit: As in `parity`.
        progress: Called with what is run and the share (0 to 1) that is behind.

    Raises:
        InputError: There is nothing to compare, or inner tensors cannot be seen.
        ModelError: An engine does not take a graph with inner tensors as outputs.
        UnavailableError: A runtime or provider is not to be had here.
    """
    limits = WorkerLimits.of(time_limit, memory_limit)
    places = engines(runtime, provider, threads, batch_size, options=options, limits=limits)
    for place in places:
        load_runtime(place.runtime)  # a slip of the pen is named before anything else
    request = Request(None if inputs is None else Path(inputs), input_shapes or {}, seed)
    opened, other = _model(model), against
    if isinstance(opened, Bundle):
        request.refuse_for(_ON_GOLDEN)
        sources, given = _of_bundle(opened, variants, other, places)
    else:
        if variants:
            raise InputError(f"{model} is a file and has no variants.", "Leave --variant out.")
        sources, given = _of_file(opened, other, request, batch_size)
    pairs = list(_pairs(sources, places))
    if not pairs:
        raise _nothing(model)
    if progress:
        told_places = told(places, _SESSIONS * len(pairs), progress)
        pairs = list(_pairs(sources, told_places))
    found = tuple(compare_layers(first, second, given) for first, second in pairs)
    notes = [
        text
        for comparison, (first, second) in zip(found, pairs, strict=True)
        for text in remarks(comparison, first.source.name, second.source.name)
    ]
    return _report(found, sources, given, notes)


Sources = Sequence[tuple[Source, Source | None]]


def _of_bundle(
    bundle: Bundle,
    variants: Sequence[str] | None,
    against: Bundle | Path | str | None,
    places: Sequence[Engine],
) -> tuple[Sources, Given]:
    known = {variant.name: variant.format for variant in bundle.manifest.variants}
    names = variants or [name for name in known if name != against and known[name] == ONNX]
    if not names or (against is None and len(places) < 2):
        raise _nothing(bundle.folder)
    sources: Sources = [
        (
            variant_source(bundle, name),
            None if against is None else _other(bundle, against, name, list(known)),
        )
        for name in names
    ]
    flat = [source for pair in sources for source in pair if source is not None]
    given = golden_images(bundle, flat, places[0].batch_size)
    unseen = [] if variants else [name for name in known if known[name] != ONNX]
    if unseen:
        text = f"Left out, for inner tensors are seen in ONNX files alone: {', '.join(unseen)}."
        given = replace(given, notes=(text,))
    return sources, given


def _other(bundle: Bundle, against: Bundle | Path | str, name: str, known: Sequence[str]) -> Source:
    if against in known:
        return variant_source(bundle, str(against))
    other = _model(against)
    if isinstance(other, Bundle):
        return _of_another(other, name)
    return picture_source(open_files([other])[0], bundle.manifest.contract)


def _of_another(bundle: Bundle, name: str) -> Source:
    """Take a variant of a second bundle, which may have files of the same names as the first."""
    source, folder = variant_source(bundle, name), bundle.folder.name
    measured = {f"{folder}/{file}": digest for file, digest in source.measured.items()}
    return replace(source, name=f"{folder}/{name}", measured=measured)


def _of_file(
    path: Path, against: Bundle | Path | str | None, request: Request, batch_size: int | None
) -> tuple[Sources, Given]:
    other = None if against is None else _model(against)
    if isinstance(other, Bundle):
        request.refuse_for(_ON_GOLDEN)
        first = next((variant.name for variant in other.manifest.variants), "fp32")
        source = picture_source(open_files([path])[0], other.manifest.contract)
        reference = _of_another(other, first)
        return [(source, reference)], golden_images(other, [source, reference], batch_size)
    files = open_files([each for each in (path, other) if each])
    sources = [file_source(file, batch_size) for file in files]
    second = sources[1] if len(sources) > 1 else None
    return [(sources[0], second)], plain_inputs(files, request, batch_size)


def _pairs(sources: Sources, places: Sequence[Engine]) -> Iterator[Pair]:
    for first, second in sources:
        if second is None:
            for place in places[1:]:
                yield Placed(first, places[0]), Placed(first, place)
        else:
            for place in places:
                yield Placed(first, place), Placed(second, place)


def _report(
    found: tuple[LayerComparison, ...], sources: Sources, given: Given, notes: Sequence[str]
) -> LayersReport:
    measured = dict(given.measured)
    for pair in sources:
        for source in pair:
            measured |= source.measured if source is not None else {}
    return LayersReport(
        given.what,
        given.seed,
        given.count,
        found,
        measured,
        judge_all([comparison.verdict for comparison in found]),
        (*given.notes, *notes),
    )


def _model(model: Bundle | Path | str) -> Bundle | Path:
    if isinstance(model, Bundle):
        return model
    path = Path(model)
    return existing_file(path) if is_file_name(path) else open_bundle(path)


def _nothing(model: Bundle | Path | str) -> InputError:
    name = model.folder if isinstance(model, Bundle) else model
    return InputError(
        f"There is nothing to hold {name} against, layer by layer.",
        f"Name another file or a variant, such as `edgecnn parity {name} --layers --runtime "
        "ort,reference`.",
    )
