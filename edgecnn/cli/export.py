"""Export a net to ONNX, proved against torch, to int8, and to the formats of other engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edgecnn.cli._c_target import (
    as_engine_options,
    c_options,
    refuse_c_options,
    refuse_layout_folder,
    write_layout,
)
from edgecnn.cli._convert import ONNX, convert_bundle, convert_options, refuse_other_formats
from edgecnn.cli._int8 import int8_options, print_fp16, print_int8, stop_at_gate
from edgecnn.cli._options import (
    bundle_argument,
    data_dir_option,
    data_option,
    find_bundle,
    json_option,
    keep_report,
    not_empty,
    note,
    print_report,
    threads_option,
)
from edgecnn.cli._progress import progress_bar
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from edgecnn.exporting import ExportReport, Proof
    from edgecnn.spec import Precision


@click.command()
@bundle_argument
@convert_options
@c_options
@click.option("--quantize/--no-quantize", default=None, help="Make an int8 variant, too.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8", "fp16", "bf16"]),
    help="The general form of --quantize, which is --precision int8; fp16 is for GPUs.  "
    "[default: fp32]",
)
@click.option(
    "--opset",
    type=click.IntRange(17, 23),
    help="Version of ONNX's operators; not for what came from an ONNX file.  [default: 18]",
)
@click.option(
    "--preprocessing/--no-preprocessing",
    default=True,
    show_default=True,
    help="Take uint8 NHWC pixels, or float32 that is normalised already.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="A fixed batch.  [default: an open one]"
)
@click.option(
    "--min-ort",
    metavar="VERSION",
    callback=not_empty,
    help="The oldest ONNX Runtime that is to read the file, such as 1.16.",
)
@int8_options
@data_option
@data_dir_option
@threads_option
@json_option
def command(
    bundle: Path | None,
    quantize: bool | None,
    precision: str | None,
    *,
    format: str,
    source: str,
    engine_options: tuple[str, ...],
    name: str | None,
    runtime: str | None,
    time_limit: float | None,
    layout: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Export a bundle's net to ONNX; with --quantize, to int8 as well.

    The file must agree with torch, or with the imported file, in float64 on the golden images
    before it gets its name. The variant is called fp32; without preprocessing fp32-nchw, with a
    fixed batch fp32-b1 and so on.

    With --format, a variant that is there is converted for another engine by the runtime that
    writes this format, and must be as near to the golden outputs on that runtime.
    """
    refuse_c_options(format)
    refuse_other_formats(format)
    of_c = tuple(as_engine_options(options))
    if format != ONNX:
        refuse_layout_folder(output, force=force)
        found = convert_bundle(
            bundle,
            format,
            source=source,
            name=name,
            runtime=runtime,
            precision=precision,
            engine_options=(*engine_options, *of_c),
            threads=options["threads"],
            time_limit=time_limit,
            as_json=as_json,
        )
        write_layout(found, layout, output, force=force, as_json=as_json)
        return
    _export(bundle, quantize, precision, as_json=as_json, **options)


def _export(
    bundle: Path | None,
    quantize: bool | None,
    precision: str | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    from edgecnn.exporting import export
    from edgecnn.reports import make_report

    wanted = _precision(quantize, precision)
    opened = find_bundle(bundle)
    with progress_bar(still=wanted != "fp32") as progress:
        found = export(opened, precision=wanted, note=note, progress=progress, **options)
    measured = {found.file: found.sha256}
    if found.int8:
        measured[found.int8.file] = found.int8.sha256
    if found.fp16:
        measured[found.fp16.file] = found.fp16.sha256
    report = make_report("export", found, measured)
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        _print(found)
        from edgecnn.cli._show import next_step

        # Without data there is no int8 to be made, and the note says which flag brings some.
        again = ("int8" in found.stale or not found.int8) and not found.stand_in
        again = again and not found.fp16
        form = "" if found.variant == "fp32" else f" --variant {found.variant}"
        next_step(f"quantize{form}" if again else "bench", bundle)
    if found.int8:
        stop_at_gate(found.int8)


def _precision(quantize: bool | None, precision: str | None) -> Precision:
    if quantize is not None and precision is not None and quantize != (precision == "int8"):
        flag = "--quantize" if quantize else "--no-quantize"
        raise click.UsageError(f"{flag} and --precision {precision} contradict one another.")
    if precision == "bf16":
        from edgecnn.exporting.half import refuse_bf16

        refuse_bf16()
    return cast("Precision", "int8" if quantize else precision or "fp32")


def _print(found: ExportReport) -> None:
    from edgecnn.cli._show import size

    pixels = "uint8 NHWC pixels" if found.preprocessing else f"float32 {found.layout.upper()}"
    batch = "any batch" if found.batch == "dynamic" else f"batch {found.batch}"
    proof = found.proof
    images = "stand-in" if found.stand_in else "golden"
    say(
        f"{found.variant}: {found.bundle}/{found.file}, {size(found.size)}, opset {found.opset}, "
        f"{pixels} in, {batch}.\n"
        f"It agrees with {found.original} in float64 on {proof.images} {images} images at batch "
        f"{', '.join(map(str, proof.batches))}: {_errors(proof)}."
    )
    if found.int8:
        print_int8(found.int8)
    if found.fp16:
        print_fp16(found.fp16)
    for name in found.stale:
        note(f"'{name}' was made from the file that this one replaced, and is now stale.")


def _errors(proof: Proof) -> str:
    found = {
        name: f"largest error {each.largest_error:.1e}, {each.allowed_error:.1e} allowed"
        for name, each in proof.outputs.items()
    }
    if len(found) == 1:
        return next(iter(found.values()))
    return "; ".join(f"'{name}' {text}" for name, text in found.items())
