"""Every layer of a net in C, timed alone, beside what this machine's peak would allow."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgecnn.benchmark.inputs import bundle_images
from edgecnn.bundle import Bundle
from edgecnn.codegen import Generated, generate
from edgecnn.profiling.report import Peaks
from edgecnn.shelves import load_runtime
from edgecnn.spec import Variant

RUNS, WARMUP = 2000, 200
FLAGS = ("-std=c99", "-O3", "-march=native", "-shared", "-fPIC")


@dataclass(frozen=True)
class LayerShare:
    """What was found of one layer.

    Attributes:
        layer: The graph's name of its first node.
        kernel: The kernel that computes it.
        macs: Multiply-accumulates.
        median_us: Median time, with what reading the clock costs, about 0.03 µs.
        share_of_peak: Of what a matrix product reaches here; None of what multiplies nothing.
    """

    layer: str
    kernel: str
    macs: int
    median_us: float
    share_of_peak: float | None

    @property
    def line(self) -> str:
        """Give a row of a table."""
        share = "" if self.share_of_peak is None else f"{100 * self.share_of_peak:.0f} %"
        macs = f"{self.macs:,}" if self.macs else ""
        cells = (self.layer, f"`{self.kernel}`", macs, f"{self.median_us:.2f} µs", share)
        return f"| {' | '.join(cells)} |"


def layer_shares(bundle: Bundle, variant: Variant, peaks: Peaks) -> tuple[LayerShare, ...]:
    """Time the layers of a c variant, generated anew from the variant that it was made from.

    Args:
        bundle: Its bundle, whose images it answers.
        variant: The located c variant.
        peaks: What this machine reaches on one thread.
    """
    source = bundle.locate(variant.precision)
    made = generate(
        source.path.read_bytes(),
        where=source.path.name,
        name="net",
        prefix="net",
        kernels=Path(load_runtime("c").__file__).parent / "kernels",
    )
    times = _times(made, bundle_images(bundle).pixels)
    rates = {each.what: each.rate for each in peaks.arithmetic}
    found = []
    for layer, own in zip(made.program.layers, times.T, strict=True):
        nanoseconds = median(own.tolist())
        kind = "int8" if "_u8" in layer.kernel else "fp32"
        share = 2e9 * layer.macs / nanoseconds / rates[kind] if layer.macs and nanoseconds else None
        found.append(LayerShare(layer.name, layer.kernel, layer.macs, nanoseconds / 1e3, share))
    return tuple(found)


def _times(made: Generated, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    layers = len(made.program.layers)
    arrays = [np.ascontiguousarray(images[0])]
    arrays.append(np.empty(sum(each.size for each in made.program.outputs), np.float32))
    if made.weights is not None:
        arrays.insert(0, np.frombuffer(made.weights, np.uint8))
    pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in arrays]
    found = np.zeros((RUNS, layers), np.int64)
    with tempfile.TemporaryDirectory() as name:
        library = _compiled(made, Path(name), layers)
        for number in range(WARMUP + RUNS):
            library.layered_start()
            library.net_run(*pointers)
            if number >= WARMUP:
                row = found[number - WARMUP]
                library.layered_read(row.ctypes.data_as(ctypes.c_void_p))
    return found


def _compiled(made: Generated, folder: Path, layers: int) -> ctypes.CDLL:
    (folder / "net.c").write_text(made.source)
    (folder / "net.h").write_text(made.header)
    about = (f"-DLAYERS={layers}", '-DNET="net.c"', f"-I{folder}")
    source = Path(__file__).parent / "layered.c"
    subprocess.run(["gcc", *FLAGS, *about, "-o", folder / "net.so", source], check=True)
    return ctypes.CDLL(str(folder / "net.so"))
