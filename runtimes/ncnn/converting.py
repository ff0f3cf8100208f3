"""ONNX to ncnn, through pnnx: the float core, with the preprocessing as a layer in front.

pnnx has no layer for the cast from pixels, and ends with code 0 where it writes what ncnn cannot
read. So the core is converted alone, every layer is looked up in ncnn, and the result is run once.
"""

from __future__ import annotations

import math
import os
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError, RuntimeCrashed, UnavailableError
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import PIXELS, channel_constants, float_core
from edgecnn.runtime import Converted, Options, TensorSpec, Variant, choose_options

from .facts import Facts, write_facts
from .param import check_layers, text

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

CONVERT_OPTIONS = {"precision": ("fp32", "fp16")}

_CORE = "core"  # pnnx names its files after it
_FIRST = "in0"  # what pnnx calls the input


@dataclass(frozen=True, eq=False)
class _Source:
    """The float core of a variant, and how pixels become its input."""

    core: ir.Model
    factor: NDArray[np.float32] | None = None
    offset: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, [C, H, W]."""
        axes = list(self.core.graph.inputs[0].shape or ())[1:]
        return tuple(axis for axis in axes if isinstance(axis, int))


def convert(source: Variant, folder: Path, *, name: str, options: Options) -> Converted:
    """Write a float32 ONNX variant as ncnn's .param and .bin, and what they do not say as .json.

    Args:
        source: The located variant.
        folder: An empty folder.
        name: What the files are called, without their endings.
        options: `precision`: `fp32` (default), or `fp16` for weights of half the size.

    Raises:
        InputError: An option is unknown.
        ModelError: pnnx or ncnn cannot do this net.
        UnavailableError: pnnx is not installed.
        RuntimeCrashed: pnnx crashed.
    """
    chosen = choose_options("ncnn", CONVERT_OPTIONS, options)
    pnnx = _pnnx()
    _refuse(source)
    taken = _read(source)
    _run_pnnx(pnnx, taken, folder, half=chosen["precision"] == "fp16")
    param, weights = folder / f"{name}.param", folder / f"{name}.bin"
    _put_in_front(taken, folder, param, weights)
    facts = _look(source, taken, param, weights)
    write_facts(facts, folder / f"{name}.json")
    return Converted(
        files=(param.name, weights.name, f"{name}.json"),
        batch=1,
        preprocessing=source.preprocessing,
        precision="fp16" if chosen["precision"] == "fp16" else "fp32",
        settings={"pnnx": version("pnnx"), "ncnn": version("ncnn")},
    )


def _pnnx() -> Path:
    """Find pnnx's program: importing its package would import torch."""
    spec = find_spec("pnnx")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in ("pnnx", "pnnx.exe"):
            if (Path(folder) / file).is_file():
                return Path(folder) / file
    raise UnavailableError(
        "ncnn's models are made by pnnx, which is not installed.",
        "Install it with `pip install 'edgecnn[pnnx]'`.",
    )


def _refuse(source: Variant) -> None:
    if source.precision != "fp32":
        raise ModelError(
            f"'{source.name}' is {source.precision}, and pnnx makes a working ncnn model of "
            "float32 alone.",
            "Name the fp32 variant with --from.",
        )
    if source.batch not in ("dynamic", 1):
        raise ModelError(
            f"'{source.name}' takes batches of {source.batch}, and ncnn one image at a time.",
            "Name a variant with an open batch, or a batch of 1, with --from.",
        )


def _read(source: Variant) -> _Source:
    import onnx_ir as ir

    model = from_bytes(source.path.read_bytes(), where=str(source.path))
    taken = _Source(model)
    if source.preprocessing:
        taken = _Source(float_core(model), *channel_constants(model))
    _refuse_operators(source, taken.core)
    inputs = taken.core.graph.inputs
    shape = list(inputs[0].shape or ()) if len(inputs) == 1 else []
    if len(shape) != 4 or inputs[0].dtype != ir.DataType.FLOAT:
        raise ModelError(f"'{source.name}' does not take one float32 image.", "Use ONNX Runtime.")
    if not all(isinstance(axis, int) for axis in shape[1:]):
        raise ModelError(f"'{source.name}' leaves the image's size open.", "Export it with one.")
    if taken.factor is not None and len(taken.factor) != shape[1]:
        raise ModelError(
            f"'{source.name}' takes its channels last, and ncnn's images have them first.",
            "Export it from PyTorch, whose nets take them first.",
        )
    return taken


def _refuse_operators(source: Variant, core: ir.Model) -> None:
    import onnx

    kinds = {(node.domain, node.op_type) for node in core.graph.all_nodes()}
    unknown = sorted(kind for domain, kind in kinds if domain or not onnx.defs.has(kind))
    quantized = sorted(kind for _, kind in kinds if "quant" in kind.lower() or "QLinear" in kind)
    if unknown or quantized:  # pnnx crashes on the ones, and writes nonsense for the others
        raise ModelError(
            f"'{source.name}' holds {', '.join((unknown or quantized)[:3])}, which pnnx does not "
            "convert.",
            "Use ONNX Runtime, or name a float32 variant of ONNX's own operators with --from.",
        )


def _run_pnnx(pnnx: Path, taken: _Source, folder: Path, *, half: bool) -> None:
    (folder / f"{_CORE}.onnx").write_bytes(to_bytes(taken.core))
    sizes = ",".join(map(str, (1, *taken.shape)))
    done = subprocess.run(
        [pnnx, f"{_CORE}.onnx", f"inputshape=[{sizes}]f32", f"fp16={int(half)}"],
        cwd=folder,
        # pnnx holds an ONNX Runtime, which would write into the user's home and wake a thread.
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode < 0:
        raise RuntimeCrashed(f"pnnx crashed (signal {-done.returncode}).", "Use another --format.")
    made = [folder / f"{_CORE}.ncnn.{ending}" for ending in ("param", "bin")]
    if done.returncode or not all(path.is_file() for path in made):
        lines = done.stdout.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ModelError(
            f"pnnx does not convert this net: {lines[-1].strip().rstrip('.')}.",
            "Use another --format.",
        )


def _put_in_front(taken: _Source, folder: Path, param: Path, weights: Path) -> None:
    """Write ncnn's files with the preprocessing as their first layer, `x * factor - offset`."""
    made = folder / f"{_CORE}.ncnn.param"
    first, *rest = check_layers(made)
    if first[:1] != ["Input"] or any(words[0] == "Input" for words in rest):
        raise ModelError("pnnx does not give this net one input.", "Use another --format.")
    content = (folder / f"{_CORE}.ncnn.bin").read_bytes()
    if taken.factor is not None and taken.offset is not None:
        channels = len(taken.factor)
        first = ["Input", PIXELS, "0", "1", PIXELS]
        scale = ["Scale", "preprocessing", "1", "1", PIXELS, _FIRST, f"0={channels}", "1=1"]
        rest = [scale, *rest]
        # The file holds the weights of each layer in turn; those of Scale have no head.
        content = taken.factor.tobytes() + (-taken.offset).tobytes() + content
    param.write_text(text([first, *rest]))
    weights.write_bytes(content)


def _look(source: Variant, taken: _Source, param: Path, weights: Path) -> Facts:
    """Run the model once on black, to learn what shapes come out."""
    import numpy as np

    from .session import open_net

    outputs = taken.core.graph.outputs
    blobs = tuple(f"out{number}" for number in range(len(outputs)))
    pixels = taken.factor is not None
    channels, height, width = taken.shape
    shape = (1, height, width, channels) if pixels else (1, *taken.shape)
    name = PIXELS if pixels else str(taken.core.graph.inputs[0].name)
    image = TensorSpec(name, "uint8" if pixels else "float32", shape)
    specs = tuple(TensorSpec(str(value.name), _dtype(value), ()) for value in outputs)
    draft = Facts(image, PIXELS if pixels else _FIRST, specs, blobs, weights.stat().st_size)
    session = open_net(param, weights, draft)
    found = session.prepare({name: np.zeros(shape, image.dtype)})()
    session.close()
    shapes = [_shape(value, *given) for value, given in zip(outputs, found, strict=True)]
    named = [replace(spec, shape=each) for spec, each in zip(specs, shapes, strict=True)]
    return replace(draft, outputs=tuple(named))


def _dtype(value: ir.Value) -> str:
    dtype = "" if value.dtype is None else value.dtype.numpy().name
    if dtype != "float32":
        raise ModelError(
            f"The output '{value.name}' is {dtype or 'untyped'}, and ncnn computes float32 alone.",
            "Use another --format.",
        )
    return dtype


def _shape(value: ir.Value, code: int, mat: Any) -> tuple[int, ...]:
    """Give an output's shape for one image: as it is declared, or as it came out."""
    import numpy as np

    if code != 0:
        raise ModelError(
            f"ncnn cannot compute '{value.name}' of this net: code {code}.", "Use another --format."
        )
    found = np.array(mat).shape
    declared = [axis if isinstance(axis, int) else None for axis in list(value.shape or ())]
    known = [axis for axis in declared[1:] if axis is not None]
    shape = (1, *known) if len(known) == len(declared) - 1 else (1, *found)
    if not declared or math.prod(shape) != math.prod(found):
        raise ModelError(
            f"ncnn gives '{value.name}' the shape {list(found)}, not {list(shape)} for one image.",
            "Use another --format.",
        )
    return shape
