"""`--scheme fastest`: every scheme that is safe on the CPUs, made and measured in one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.disk import disk_errors, temporary_folder
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.quantization.choosing import Choice, variant_name
from edgecnn.quantization.fastest import Fastest, find_fastest, schemes_to_try
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.measuring import Job
from edgecnn.quantization.pixels import feed
from edgecnn.quantization.placing import base_plan
from edgecnn.quantization.writing import read_core
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of each scheme; openings and warm-ups come on top.
_SECONDS = 2.0


def try_schemes(job: Job, images: NDArray[np.uint8]) -> tuple[Choice, Fastest, tuple[str, ...]]:
    """Make int8 after every scheme that is safe on the CPUs, and measure which is the fastest.

    What was made is thrown away: ranges are taken the simplest way, which costs no time later on.

    Args:
        job: What is quantized.
        images: Calibration images, uint8 [M, height, width, channels].

    Returns:
        The fastest choice, what was measured, and sentences about it.
    """
    trials = schemes_to_try(job.wishes.fleet)
    with temporary_folder() as folder:
        made = [_make(job, choice, images, folder) for choice in trials.choices]
        found = find_fastest(
            job.source,
            list(zip(trials.choices, made, strict=True)),
            job.vectors.images,
            job.bundle.manifest.contract,
            threads=job.threads,
            batch_size=1 if job.source.batch == "dynamic" else job.source.batch,
            seconds=_SECONDS * len(made),
        )
    chosen = next(each for each in trials.choices if each.scheme.name == found.scheme)
    left_out = [
        f"Not tried: {each.scheme.name}, whose answers may differ on {', '.join(each.at_risk)}."
        for each in trials.left_out
    ]
    return chosen, found, (found.reason, *left_out)


def _make(job: Job, choice: Choice, images: NDArray[np.uint8], folder: Path) -> Variant:
    core, contract = feed(
        read_core(job.source),
        job.bundle.manifest.contract,
        pixels=job.source.preprocessing,
        scheme=choice.scheme,
    )
    model = quantize_core(core, contract, images, base_plan(core, choice.scheme))
    if job.source.preprocessing:
        model = put_preprocessing_in_front(model, contract)
    name = variant_name(job.source.name, choice.scheme)
    path = folder / f"{name}.onnx"
    with disk_errors(path):
        path.write_bytes(to_bytes(model))
    return replace(job.source, name=name, precision="int8", files=(str(path),))
