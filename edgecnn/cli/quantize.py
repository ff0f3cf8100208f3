"""Make an int8 variant and measure it against fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecnn.cli._int8 import int8_options, print_int8, stop_at_gate
from edgecnn.cli._options import (
    bundle_argument,
    data_dir_option,
    data_option,
    find_bundle,
    json_option,
    keep_report,
    note,
    print_report,
    threads_option,
)
from edgecnn.cli._progress import progress_bar


@click.command()
@bundle_argument
@click.option("--variant", default="fp32", show_default=True, help="Variant to quantize.")
@int8_options
@data_option
@data_dir_option
@threads_option
@json_option
def command(bundle: Path | None, *, as_json: bool, **options: Any) -> None:
    """Make an int8 variant of a bundle and measure it against fp32.

    The ranges come from images of the training split; accuracy, agreement, size and latency of
    both are measured before it says whether int8 is worth having.
    """
    from edgecnn.quantization import quantize
    from edgecnn.reports import make_report

    opened = find_bundle(bundle)
    with progress_bar(still=True) as progress:
        found = quantize(opened, note=note, progress=progress, **options)
    report = make_report("quantize", found, {found.file: found.sha256})
    keep_report(report, opened.folder)
    if as_json:
        print_report(report)
    else:
        from edgecnn.cli._show import next_step

        print_int8(found)
        next_step("bench", bundle)
    stop_at_gate(found)
