"""The tensors that a foreign ONNX file brings: what they declare against what is there."""

from __future__ import annotations

import math
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgecnn.graph.limits import RANK, Refusal, largest_weights, shown, size_text

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_KEYS = {"location", "offset", "length", "checksum"}


def check_tensors(model: ModelProto, folder: Path | None) -> int:
    """Check every tensor of a model, in its graph and in its nodes, and count their bytes.

    Args:
        model: A model without subgraphs and functions.
        folder: Where data outside the file may lie; None if it may have none.

    Raises:
        Refusal: A tensor declares what is not there, or lies where it must not.
    """
    total = 0
    for tensor in _tensors(model):
        total += check_tensor(tensor, folder)
        if total > largest_weights():
            raise Refusal(
                f"needs {size_text(total)} and more for its weights, of which this machine can "
                f"take {size_text(largest_weights())}"
            )
    return total


def check_tensor(tensor: TensorProto, folder: Path | None = None) -> int:
    """Check one tensor, and give the bytes that it takes.

    Raises:
        Refusal: It declares what is not there, or lies where it must not.
    """
    from onnx import TensorProto

    name = f"the tensor {shown(tensor.name)}"
    bits = _item_bits(tensor, name)
    if tensor.HasField("segment"):
        raise Refusal(f"holds {name} in pieces, which no exporter writes")
    size = (_elements(tensor, name) * bits + 7) // 8
    if tensor.data_location == TensorProto.EXTERNAL:
        _check_external(tensor, size, folder, name)
    elif tensor.external_data:
        raise Refusal(f"says of {name} both that it lies in the file and that it does not")
    else:
        _check_inside(tensor, size, bits, name)
    return size


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _item_bits(tensor: TensorProto, name: str) -> int:
    bits = item_bits(tensor.data_type)
    if not bits:
        raise Refusal(f"holds {name} of a type that is no number ({tensor.data_type})")
    return bits


def item_bits(kind: int) -> int:
    """Give the bits of one element of a type in `onnx.TensorProto`; 0 for what is no number."""
    from onnx import TensorProto, helper

    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else ""
    if name in ("", "UNDEFINED", "STRING"):
        return 0
    for bits in (2, 4):
        if name.endswith(f"INT{bits}") or name.startswith(f"FLOAT{bits}"):
            return bits
    return 8 * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _elements(tensor: TensorProto, name: str) -> int:
    if len(tensor.dims) > RANK:
        raise Refusal(f"holds {name} of {len(tensor.dims)} axes, of which {RANK} are allowed")
    if any(axis < 0 for axis in tensor.dims):
        raise Refusal(f"holds {name} with a negative size, {list(tensor.dims)}")
    return math.prod(tensor.dims)


def _check_inside(tensor: TensorProto, size: int, bits: int, name: str) -> None:
    lists = ("float_data", "double_data", "int32_data", "int64_data", "uint64_data")
    filled = [each for each in lists if len(getattr(tensor, each))]
    if tensor.string_data or len(filled) + tensor.HasField("raw_data") > 1:
        raise Refusal(f"holds {name} in more than one form")
    if filled:
        held, needed = len(getattr(tensor, filled[0])), _entries(tensor, size, bits)
    else:
        held, needed = len(tensor.raw_data), size
    if held != needed:
        unit = "numbers" if filled else "bytes"
        raise Refusal(
            f"declares {name} as {list(tensor.dims)}, which is {needed:,} {unit}, "
            f"but holds {held:,}"
        )


def _entries(tensor: TensorProto, size: int, bits: int) -> int:
    from onnx import TensorProto

    elements: int = math.prod(tensor.dims)
    if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        return 2 * elements
    return size if bits < 8 else elements


def _check_external(tensor: TensorProto, size: int, folder: Path | None, name: str) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if folder is None:
        raise Refusal(f"keeps {name} in a file of its own, which cannot be here")
    if len(entries) != len(tensor.external_data) or entries.keys() - _KEYS:
        raise Refusal(f"says more than once, or in unknown words, where {name} lies")
    file_size = _external_size(entries.get("location", ""), folder, name)
    offset, length = (_count(entries.get(key), name) for key in ("offset", "length"))
    if length not in (None, size):
        raise Refusal(f"declares {name} as {size:,} bytes, but {length:,} in its file")
    if (offset or 0) + size > file_size:
        raise Refusal(
            f"looks for {name} behind the end of {shown(entries['location'])}, "
            f"which has {file_size:,} bytes",
            "Fetch that file again: it is not whole.",
        )


def _external_size(location: str, folder: Path, name: str) -> int:
    place = PurePosixPath(location)
    if not location or "\\" in location or "\0" in location or place.is_absolute():
        raise Refusal(f"keeps {name} at {shown(location)}, which is no place beside the file")
    if ".." in place.parts or ":" in place.parts[0]:
        raise Refusal(f"keeps {name} at {shown(location)}, outside its own folder")
    path = folder
    for part in place.parts:
        path = path / part
        if path.is_symlink():
            raise Refusal(f"keeps {name} behind the link {shown(location)}", _real_copy(folder))
    try:
        found = path.lstat()
    except OSError:
        raise Refusal(
            f"keeps {name} in {shown(location)}, which is missing",
            "Put that file beside it, under that name.",
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise Refusal(f"keeps {name} in {shown(location)}, which is no plain file")
    if found.st_nlink > 1:
        raise Refusal(f"keeps {name} in {shown(location)}, a hard link", _real_copy(folder))
    return found.st_size


def _real_copy(folder: Path) -> str:
    copy = f"cp -rL {shlex.quote(str(folder))} {shlex.quote(f'{folder}-copy')}"
    return f"If you trust it, copy what it points at: `{copy}`."


def _count(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Refusal(f"says that {name} lies at {shown(text)} in its file, which is no number")
    return int(text)
