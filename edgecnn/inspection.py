"""What a bundle or an ONNX file is: its files, their lineage, what its graphs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from edgecnn import extras
from edgecnn.bundle import Bundle, Manifest, open_bundle
from edgecnn.errors import BundleError, InputError, ModelError, UnavailableError
from edgecnn.graph import gate
from edgecnn.graph.operators import check_names
from edgecnn.graph.prefix import row_constants
from edgecnn.graph.shapes import declared, real_inputs
from edgecnn.graph.summary import GraphSummary, summarise
from edgecnn.plain import Request, existing_file, fixed, is_file_name, plain_variant
from edgecnn.records import sha256
from edgecnn.releases import Support, support
from edgecnn.spec import InputContract, Parent, TensorSpec, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

_ONNX = "onnx"
_OF_A_BUNDLE = "A bundle says itself what goes in."


@dataclass(frozen=True)
class VariantInspection:
    """One variant, or a plain ONNX file.

    Attributes:
        variant: What the manifest says of it.
        state: `ok`; `stale`: its parent changed after it was made; `damaged`: a file of it is not
            the one that was written.
        problem: What is stale or damaged; empty if nothing is.
        bytes: Size of its files.
        lineage: Its file, what that was made from, and so on, with their digests at that time.
        graph: What its graph is made of; None if it could not be looked into.
        unseen: Why not; empty if it could.
        ort: Which releases of ONNX Runtime read it; None where its graph could not be looked into.
    """

    variant: Variant
    state: Literal["ok", "stale", "damaged"]
    problem: str
    bytes: int
    lineage: tuple[Parent, ...]
    graph: GraphSummary | None
    unseen: str
    ort: Support | None = None


@dataclass(frozen=True)
class Inspection:
    """What a bundle or an ONNX file is.

    Attributes:
        path: The bundle's folder, or the file.
        manifest: The bundle's manifest; None for a plain file.
        damaged: Files of the bundle that are missing or not what was written.
        variants: Its variants; a plain file is one.
    """

    KIND: ClassVar[str] = "inspect"
    VERSION: ClassVar[int] = 2

    path: str
    manifest: Manifest | None
    damaged: tuple[str, ...]
    variants: tuple[VariantInspection, ...]

    @property
    def measured(self) -> dict[str, str]:
        """SHA-256 of every file as the manifest has it, by name; of a plain file, its own."""
        if self.manifest is None:
            return {part.file: part.sha256 for each in self.variants for part in each.lineage}
        return {name: file.sha256 for name, file in (self.manifest.files or {}).items()}


def inspect(
    model: Bundle | Path | str,
    variants: Sequence[str] | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Inspection:
    """Look into a bundle or an ONNX file; stale and damaged ones are described, not refused.

    So is a file that the gate keeps from every engine, as far as it can be; a note says why.

    Without the package `onnx` a bundle is described as far as its manifest goes, and `unseen` says
    what is missing. A variant that is asked for by name, or a plain file, needs it.

    Args:
        model: A bundle, its folder, or an ONNX file.
        variants: Names of the variants to look into; all of them by default.
        input_shapes: Of a file, the shapes of inputs with open sizes, by name.

    Raises:
        BundleError: There is no such bundle or variant, or its manifest is damaged.
        InputError: An input does not exist, or cannot have this shape.
        ModelError: The file is no ONNX file.
        UnavailableError: A graph was asked for and `onnx` is not installed.
    """
    if not isinstance(model, Bundle) and is_file_name(model):
        return _inspect_file(Path(model), variants, input_shapes or {})
    Request(shapes=input_shapes or {}).refuse_for(_OF_A_BUNDLE)
    bundle = model if isinstance(model, Bundle) else open_bundle(model)
    chosen = [bundle.variant(name) for name in variants or ()] or bundle.manifest.variants
    return Inspection(
        path=str(bundle.folder),
        manifest=bundle.manifest,
        damaged=tuple(_damaged(bundle, bundle.files)),
        variants=tuple(
            _inspect_variant(bundle, variant, strict=bool(variants)) for variant in chosen
        ),
    )


def python_code(
    model: Bundle | Path | str,
    variant: str | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """Write the Python that runs a model with ONNX Runtime, NumPy and Pillow, without edgecnn.

    For a variant of a bundle it opens an image, does what is left of the preprocessing outside the
    graph, and prints the best label and all outputs. It is as short as 8-bit pictures without
    transparency allow. A plain file has no input contract: it is run on zeros.

    Args:
        model: A bundle, its folder, or an ONNX file.
        variant: Name of the variant; the bundle's first by default.
        input_shapes: Of a file, the shapes of inputs with open sizes, by name; 1 by default.

    Raises:
        BundleError: There is no such bundle or variant, or it is stale or damaged.
        ModelError: The file is no ONNX file.
        UnavailableError: `onnx` is not installed, and a plain file was given.
    """
    shapes = input_shapes or {}
    if not isinstance(model, Bundle) and is_file_name(model):
        found = _inspect_file(Path(model), (variant,) if variant else None, shapes)
        return _code_on_zeros(found.variants[0], shapes)
    Request(shapes=shapes).refuse_for(_OF_A_BUNDLE)
    bundle = model if isinstance(model, Bundle) else open_bundle(model)
    names = [each.name for each in bundle.manifest.variants]
    located = bundle.locate(variant or (names[0] if names else "fp32"))
    if located.format != _ONNX:
        raise ModelError(
            f"'{located.name}' is of the format '{located.format}', and ONNX Runtime opens none.",
            "Name an ONNX variant with --variant.",
        )
    return _code_on_an_image(located, bundle.manifest.contract)


def _inspect_file(
    path: Path, variants: Sequence[str] | None, shapes: Mapping[str, Sequence[int]]
) -> Inspection:
    if variants:
        raise InputError(f"{path} is a file and has no variants.", "Leave --variant out.")
    extras.require("Looking into a graph", "onnx")
    content = gate.read_file(existing_file(path))
    model = gate.parse(content, where=str(path))
    inputs = tuple(map(declared, real_inputs(model.graph)))
    graph = _summarise(content, path, model, fixed(path.name, inputs, shapes))
    variant = plain_variant(path, model, path.name)
    size = sum(Path(file).stat().st_size for file in variant.files if Path(file).is_file())
    lineage = (Parent(path.name, sha256(content)),)
    found = VariantInspection(variant, "ok", "", size, lineage, graph, "", _support(graph))
    return Inspection(str(path), None, (), (found,))


def _summarise(
    content: bytes, path: Path, model: ModelProto, inputs: Sequence[TensorSpec]
) -> GraphSummary:
    try:
        gate.check_model(model, where=str(path), folder=path.parent)
    except ModelError as refusal:
        try:
            check_names(model)  # what would steer a terminal is not shown
            graph = summarise(content, where=str(path), inputs=inputs)
        except Exception:  # whatever such a file makes of it
            raise refusal from None
        note = f"No engine gets to see this file: {refusal.problem}"
        return replace(graph, notes=(note, *graph.notes))
    return summarise(content, where=str(path), inputs=inputs)


def _inspect_variant(bundle: Bundle, variant: Variant, *, strict: bool) -> VariantInspection:
    state, problem = _state(bundle, variant)
    graph, unseen = None, problem
    if state != "damaged":
        try:
            graph, unseen = _graph(bundle, variant), ""
        except (ModelError, UnavailableError) as error:
            if strict and variant.format == _ONNX:
                raise
            unseen = str(error)
    size = sum(bundle.files[file].size for file in variant.files if file in bundle.files)
    lineage = tuple(_lineage(bundle, variant))
    return VariantInspection(variant, state, problem, size, lineage, graph, unseen, _support(graph))


def _support(graph: GraphSummary | None) -> Support | None:
    return support(graph.ir_version, graph.opsets) if graph else None


def _graph(bundle: Bundle, variant: Variant) -> GraphSummary:
    if variant.format != _ONNX:
        raise ModelError(f"The format '{variant.format}' holds no ONNX graph.")
    extras.require("Looking into a graph", "onnx")
    content = bundle.read(variant.files[0])
    return summarise(content, where=str(bundle.folder / variant.files[0]))


def _state(bundle: Bundle, variant: Variant) -> tuple[Literal["ok", "stale", "damaged"], str]:
    for problem in _damaged(bundle, variant.files):
        return "damaged", problem
    try:
        bundle.refuse_stale(variant)
    except BundleError as error:
        return "stale", str(error)
    return "ok", ""


def _damaged(bundle: Bundle, files: Iterable[str]) -> Iterator[str]:
    for file in files:
        try:
            bundle.read(file)
        except BundleError as error:
            yield str(error)


def _lineage(bundle: Bundle, variant: Variant) -> Iterator[Parent]:
    """Follow a variant's parents, by the digests that were theirs when they were used."""
    owners = {file: each for each in bundle.manifest.variants for file in each.files}
    step: Parent | None = bundle.parent(variant.files[0])
    seen: set[str] = set()
    while step is not None and step.file not in seen:
        seen.add(step.file)
        yield step
        step = owners[step.file].parent if step.file in owners else None


_ON_AN_IMAGE = """\
import sys

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps

image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert({mode!r})
{resize}
pixels = np.asarray(image, dtype=np.uint8).reshape({shape}){turn}
{rest}session = ort.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
outputs = session.run({names}, {{session.get_inputs()[0].name: {value}}})[0][0]
{result}
"""

_ON_ZEROS = """\
import numpy as np
import onnxruntime as ort

session = ort.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
inputs = {{
{inputs}
}}
for spec, output in zip(session.get_outputs(), session.run(None, inputs)):
    print(spec.name, output.dtype, output.shape)
"""


def _code_on_zeros(found: VariantInspection, shapes: Mapping[str, Sequence[int]]) -> str:
    assert found.graph is not None
    specs = fixed(found.variant.name, found.graph.inputs, shapes)
    lines = [
        f"    {spec.name!r}: np.zeros({_sizes(spec.shape)}, {spec.dtype!r})," for spec in specs
    ]
    return _ON_ZEROS.format(path=found.variant.files[0], inputs="\n".join(lines))


def _sizes(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    return tuple(axis if isinstance(axis, int) else 1 for axis in shape)


def _code_on_an_image(variant: Variant, contract: InputContract) -> str:
    height, width, channels = contract.pixel_shape
    value, rest = "pixels", []
    if not variant.preprocessing:
        value, rest = "values", _normalising_code(contract)
    if variant.batch != "dynamic":
        rest.append(f"{value} = np.repeat({value}, {variant.batch}, axis=0)  # the fixed batch")
    result = ["print(outputs.tolist())"]
    if contract.labels:
        result = [f"labels = {list(contract.labels)!r}", "print(labels[outputs.argmax()])", *result]
    return _ON_AN_IMAGE.format(
        mode="L" if contract.color == "gray" else "RGB",
        resize="\n".join(_resizing_code(contract)),
        shape=f"1, {height}, {width}, {channels}",
        turn="[..., ::-1]  # BGR" if contract.color == "bgr" else "",
        rest="".join(f"{line}\n" for line in rest),
        path=str(variant.path),
        value=value,
        names=[contract.output] if contract.output else None,
        result="\n".join(result),
    )


def _resizing_code(contract: InputContract) -> list[str]:
    size = (contract.width, contract.height)
    kind = f"Image.Resampling.{contract.filter.upper()}"
    rule, _, number = contract.resize.partition(" ")
    if rule == "stretch":
        return [f"image = image.resize({size}, {kind})"]
    if rule == "letterbox":
        return [f"image = ImageOps.pad(image, {size}, {kind})"]
    width, height = size
    return [
        f"sides = [{number} * side // min(image.size) for side in image.size]",
        f"image = image.resize(sides, {kind})",
        f"left, top = round((sides[0] - {width}) / 2), round((sides[1] - {height}) / 2)",
        f"image = image.crop((left, top, left + {width}, top + {height}))",
    ]


def _normalising_code(contract: InputContract) -> list[str]:
    factor, offset = (row[: contract.channels].tolist() for row in row_constants(contract))
    lines = [f"values = pixels * np.float32({factor}) - np.float32({offset})"]
    if contract.layout == "nchw":
        lines.append("values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))")
    return lines
