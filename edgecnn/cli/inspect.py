"""Show what a bundle or an ONNX file is made of, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli._options import (
    find_bundle,
    input_shape_option,
    json_option,
    names,
    note,
    print_report,
    variant_option,
)
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle, Manifest
    from edgecnn.graph.summary import GraphSummary, Layer
    from edgecnn.inspection import Inspection, VariantInspection
    from edgecnn.spec import InputContract


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path), metavar="[MODEL]")
@variant_option
@click.option("--layers/--no-layers", default=True, show_default=True, help="List every layer.")
@click.option(
    "--code",
    type=click.Choice(["python"]),
    help="Print the code that runs the model on an image without edgecnn, and nothing else.",
)
@click.option(
    "--compat/--no-compat",
    default=False,
    show_default=True,
    help="Say which releases of ONNX Runtime read each variant, and nothing else.",
)
@input_shape_option
@json_option
def command(
    model: Path | None,
    variants: str | None,
    layers: bool,
    compat: bool,
    code: str | None,
    as_json: bool,
    **shapes: Any,
) -> None:
    """Show what a bundle or an ONNX file is made of, and where it comes from.

    MODEL is a bundle, by default the newest, or an ONNX file. Figures are for one image. Without
    the package onnx, a bundle is described as far as its manifest goes.
    """
    from edgecnn.inspection import inspect, python_code
    from edgecnn.plain import is_file_name
    from edgecnn.reports import make_report

    plain = model is not None and is_file_name(model)
    place: Bundle | Path = model if model is not None and plain else find_bundle(model)
    chosen = names(variants) if variants else None
    if code:
        if compat:
            raise click.UsageError("--code prints code, --compat which releases read it: give one.")
        if as_json:
            raise click.UsageError("--code prints code, --json a document: give one.")
        if chosen and len(chosen) > 1:
            raise click.UsageError("--code is for one variant.")
        click.echo(python_code(place, chosen[0] if chosen else None, **shapes), nl=False)
        return
    found = inspect(place, chosen, **shapes)
    if as_json:
        print_report(make_report("inspect", found, found.measured))
    elif compat:
        _print_support(found)
    else:
        _print(found, layers)


def _print_support(found: Inspection) -> None:
    from edgecnn.cli._show import facts

    facts(
        (each.variant.name, str(each.ort) if each.ort else each.unseen) for each in found.variants
    )


def _print(found: Inspection, layers: bool) -> None:
    from edgecnn.cli._show import facts, table

    if found.manifest:
        facts(_bundle_facts(found.path, found.manifest))
        columns = ["Variant", "state", "size", "parameters", "MACs", "peak memory", "quantized"]
        table("", columns, [_variant_row(each) for each in found.variants], left=2)
    for each in found.variants:
        facts(_variant_facts(each, titled=found.manifest is not None))
        if each.graph and layers:
            _print_layers(each.graph)
        else:
            say("")
    problems = [*found.damaged, *(each.problem for each in found.variants)]
    unseen = [each.unseen for each in found.variants]
    for text in dict.fromkeys(filter(None, [*problems, *unseen])):
        note(text)


def _bundle_facts(path: str, manifest: Manifest) -> Iterator[tuple[str, str]]:
    from edgecnn.deployment import in_words

    yield "Bundle", f"{path}, made {manifest.created[:19]}Z by edgecnn {manifest.edgecnn}"
    if manifest.model:
        arguments = [f"{key}={value}" for key, value in manifest.model.arguments.items()]
        yield "Model", " ".join([manifest.model.source, *arguments])
    if manifest.data:
        data = manifest.data
        yield "Data", f"{data.source}: {data.train_images:,} to train, {data.test_images:,} to test"
    yield from _contract_facts(manifest.contract)
    if manifest.deployment:
        found = manifest.deployment
        yield "Deployed", f"{in_words(found)}; tuned on {found.tuned[:10]} on {found.cpu}"
    yield from manifest.environment.items()


def _contract_facts(contract: InputContract) -> Iterator[tuple[str, str]]:
    height, width, _ = contract.pixel_shape
    yield "Images", f"{height}x{width} {contract.color}, {contract.resize}, {contract.filter}"
    mean, std = (", ".join(f"{each:g}" for each in part) for part in (contract.mean, contract.std))
    yield "Input", f"(pixel * {contract.scale:.6g} - [{mean}]) / [{std}]"
    yield "Output", contract.output_kind
    if contract.labels:
        yield "Labels", f"{len(contract.labels)}: {', '.join(contract.labels)}"


def _variant_row(each: VariantInspection) -> list[str]:
    from edgecnn.cli._show import size

    colour = {"ok": "green", "stale": "yellow", "damaged": "red"}[each.state]
    first = [each.variant.name, f"[{colour}]{each.state}[/]", size(each.bytes)]
    if each.graph is None:
        return [*first, "", "", "", ""]
    return [
        *first,
        f"{each.graph.parameters:,}",
        _count(each.graph.macs),
        _bytes(each.graph.peak_memory_bytes),
        _quantized(each.graph),
    ]


def _variant_facts(each: VariantInspection, *, titled: bool) -> Iterator[tuple[str, str]]:
    variant = each.variant
    if titled:
        yield variant.name, f"{variant.precision} {variant.format}"
    if variant.verdict and variant.verdict.reasons:
        yield "When made", " ".join(variant.verdict.reasons)
    if variant.settings:
        yield "Settings", ", ".join(f"{key} {value}" for key, value in variant.settings.items())
    for number, parent in enumerate(each.lineage):
        yield "Made from" if number else "File", f"{parent.file}  sha256 {parent.sha256}"
    if each.graph:
        yield from _graph_facts(each.graph)


def _graph_facts(graph: GraphSummary) -> Iterator[tuple[str, str]]:
    from edgecnn.cli._show import size

    yield "Inputs", "\n".join(map(str, graph.inputs)) or "none: it takes no inputs"
    yield "Outputs", "\n".join(map(str, graph.outputs))
    opsets = ", ".join(f"{name} {version}" for name, version in graph.opsets.items())
    yield "Opset", f"{opsets}; IR {graph.ir_version}; written by {graph.producer or 'nobody named'}"
    yield "Operators", ", ".join(f"{count} {name}" for name, count in graph.operators.items())
    yield "Parameters", f"{graph.parameters:,} in {size(graph.parameter_bytes)}"
    batch = f" at batch {graph.batch}" if graph.batch != 1 else ""
    yield "MACs", f"{_count(graph.macs)}{batch}"
    where = f" in {graph.peak_layer}" if graph.peak_layer else ""
    yield "Peak memory", f"{_bytes(graph.peak_memory_bytes)} of activations{where}"
    yield "Quantized", _quantized(graph)
    floats = [layer.name for layer in graph.layers if layer.quantized is False]
    if floats and graph.weights:
        yield "Not quantized", ", ".join(floats)
    for text in graph.notes:
        yield "Note", text


def _print_layers(graph: GraphSummary) -> None:
    from edgecnn.cli._show import table

    columns = ["Layer", "operator", "output", "parameters", "MACs", "memory", "quantized"]
    total = ["in all", "", "", f"{graph.parameters:,}", _count(graph.macs)]
    rows = [*map(_layer_row, graph.layers), [*total, _bytes(graph.peak_memory_bytes), ""]]
    table("", columns, rows, left=3)


def _layer_row(layer: Layer) -> list[str]:
    from rich.markup import escape

    shape = "?" if layer.shape is None else "x".join(map(str, layer.shape))
    return [
        escape(layer.name),
        escape(layer.operator),
        shape,
        f"{layer.parameters:,}" if layer.parameters else "",
        _count(layer.macs) if layer.macs != 0 else "",
        _bytes(layer.memory_bytes),
        "" if layer.quantized is None else "yes" if layer.quantized else "no",
    ]


def _quantized(graph: GraphSummary) -> str:
    weighed = [layer for layer in graph.layers if layer.quantized is not None]
    count = sum(bool(layer.quantized) for layer in weighed)
    if not count:
        return "nothing"
    if not graph.activations:
        return f"{count} of {len(weighed)} layers with weights"
    kinds = f"{'/'.join(graph.activations)} activations, {'/'.join(graph.weights)} weights"
    return f"{count} of {len(weighed)} layers with weights: {kinds}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _bytes(count: int | None) -> str:
    return "?" if count is None else f"{count:,} B"
