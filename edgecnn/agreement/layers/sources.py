"""What is looked into: a bundle's variant or a plain file, and how inputs go into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecnn import extras
from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import InputError
from edgecnn.feeding import feed
from edgecnn.golden import golden
from edgecnn.plain import Inputs, PlainFile, Request, feeds, make_inputs, matching
from edgecnn.plain.inputs import batch_axis
from edgecnn.runtime import CheckedSession
from edgecnn.spec import InputContract, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

Arrays = dict[str, NDArray[Any]]
Chunk = Any
Feed = Callable[[Chunk, CheckedSession], list[Arrays]]

ONNX = "onnx"
# As many numbers go in; the reference runtime, which is slow, runs them too.
_ELEMENTS, _MOST = 1 << 19, 8
_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Source:
    """A graph, and how inputs go into it.

    Attributes:
        name: The variant's or the file's name.
        model: The graph with its weights.
        variant: What a runtime opens.
        feed: Gives the runs of a session on one chunk of the inputs.
        measured: SHA-256 of each file, by name.
        file: The plain file; None for a bundle's variant.
    """

    name: str
    model: ModelProto
    variant: Variant
    feed: Feed
    measured: Mapping[str, str]
    file: PlainFile | None = None

    @property
    def quantized(self) -> bool:
        """Whether it rounds activations to 8 bits."""
        return any(node.op_type == "QuantizeLinear" for node in self.model.graph.node)


@dataclass(frozen=True, eq=False)
class Given:
    """The inputs that all sides are run on.

    Attributes:
        what: What they are, as in `LayersReport.inputs`.
        count: How many.
        seed: Seed of random ones; None for others.
        chunks: A few at a time, so that not every tensor of all of them is held at once.
        measured: SHA-256 of the file that they come from, by name.
        notes: What should be known of them, in whole sentences.
    """

    what: str
    count: int
    seed: int | None
    chunks: tuple[Chunk, ...]
    measured: Mapping[str, str]
    notes: tuple[str, ...] = ()


def variant_source(bundle: Bundle, name: str) -> Source:
    """Take a bundle's variant.

    Raises:
        InputError: It is in a format of which inner tensors cannot be seen.
        BundleError: It is missing, stale or damaged.
    """
    import onnx

    located = bundle.locate(name)
    if located.format != ONNX:
        raise InputError(
            f"The variant '{name}' is in the format '{located.format}', whose inner tensors cannot "
            "be made outputs.",
            "Compare the ONNX variant that it was made from on several runtimes.",
        )
    extras.require("Looking into a graph", "onnx")
    measured = {file: bundle.files[file].sha256 for file in bundle.variant(name).files}
    contract = bundle.manifest.contract
    model = onnx.load(located.files[0])
    return Source(name, model, located, _pictures(contract, located), measured)


def file_source(file: PlainFile, batch_size: int | None) -> Source:
    """Take a plain file, on inputs as they are."""

    def run(chunk: Inputs, session: CheckedSession) -> list[Arrays]:
        return feeds(chunk, file, batch_size)

    return Source(str(file), _loaded(file), file.variant, run, file.measured, file)


def picture_source(file: PlainFile, contract: InputContract) -> Source:
    """Take a plain file, on a bundle's images."""
    first = file.inputs[0] if file.inputs else None
    size = first.shape[0] if first and first.shape else 1
    variant = replace(
        file.variant,
        preprocessing=first is not None and first.dtype == "uint8",
        batch=size if isinstance(size, int) else "dynamic",
    )
    measured = {str(variant.path): file.measured[file.name]}
    return Source(file.name, _loaded(file), variant, _pictures(contract, variant), measured, file)


def golden_images(bundle: Bundle, sources: Sequence[Source], batch_size: int | None) -> Given:
    """Give the first of a bundle's golden images, in chunks that fill every fixed batch.

    Raises:
        InputError: A variant does not take this batch size.
    """
    vectors = golden(bundle)
    step = lcm(*(_fixed_batch(source, batch_size) for source in sources))
    each = int(np.prod(vectors.images.shape[1:]))
    size = batch_size or _whole(_AT_ONCE // each, step)
    count = _whole(min(_MOST, len(vectors.images), _ELEMENTS // each), batch_size or step)
    images = vectors.images[np.arange(count) % len(vectors.images)]
    chunks = tuple(images[at : at + size] for at in range(0, count, size))
    measured = {GOLDEN: bundle.files[GOLDEN].sha256}
    return Given(vectors.what, count, None, chunks, measured)


def _fixed_batch(source: Source, wanted: int | None) -> int:
    batch = source.variant.batch
    if batch == "dynamic":
        return 1
    if wanted not in (None, batch):
        raise InputError(
            f"{source.name} takes batches of {batch}, not {wanted}.", "Leave --batch-size out."
        )
    return batch


def plain_inputs(files: Sequence[PlainFile], request: Request, batch_size: int | None) -> Given:
    """Give inputs of plain files, in chunks that fill every fixed batch."""
    inputs = make_inputs(files[0], request)
    notes = tuple(filter(None, (matching(inputs, file) for file in files)))
    step = lcm(*(batch_axis(file.inputs)[1] or 1 for file in files), batch_size or 1)
    chunks = tuple(_parts(inputs, step)) if inputs.samples % step == 0 else (inputs,)
    return Given(inputs.what, inputs.samples, inputs.seed, chunks, {}, notes)


def _parts(inputs: Inputs, size: int) -> Iterator[Inputs]:
    for at in range(0, inputs.samples, size):
        arrays = {
            name: value[at : at + size] if name in inputs.batched else value
            for name, value in inputs.arrays.items()
        }
        yield replace(inputs, arrays=arrays, samples=min(size, inputs.samples - at))


def _pictures(contract: InputContract, variant: Variant) -> Feed:
    def run(chunk: NDArray[np.uint8], session: CheckedSession) -> list[Arrays]:
        step = variant.batch if isinstance(variant.batch, int) else len(chunk)
        return [
            feed(contract, variant, session, chunk[at : at + step])
            for at in range(0, len(chunk), step)
        ]

    return run


def _whole(count: int, step: int) -> int:
    return max(step, count - count % step)


def _loaded(file: PlainFile) -> ModelProto:
    import onnx

    return onnx.load(str(Path(file.variant.files[0])))
