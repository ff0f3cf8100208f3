"""The gate: a foreign ONNX file is looked at here before any engine sees it.

What passes is a plain net: numbers in, known operators in their order, numbers out, of a size that
a small machine can hold. What could hang an engine, fill the memory or reach out of the file's own
folder is refused with its reason. The gate itself works within limits: it counts a file before it
parses it, and checks each node's result before it looks at the next. The numbers are in `limits`.
"""

from __future__ import annotations

import shlex
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras
from edgecnn.errors import InputError, ModelError
from edgecnn.graph.limits import LIVE_BYTES, NODES, Refusal, largest_file, shown, size_text
from edgecnn.graph.operators import OWN, check_names, check_operators, place_of
from edgecnn.graph.tensors import check_tensors
from edgecnn.graph.walk import Contradiction, Walk, check_type, least_bytes, opened, walk
from edgecnn.graph.wire import check_wire, too_large

if TYPE_CHECKING:
    from onnx import ModelProto

OLDEST_OPSET, OLDEST_IR = 7, 3
_ADVICE = "Export the model again as a plain net; `edgecnn inspect {}` shows what it is made of."


def check_file(path: Path | str) -> ModelProto:
    """Let a foreign ONNX file pass, or say why not.

    Args:
        path: The file. Weights outside it are looked for in its folder.

    Returns:
        The model; weights outside the file are checked, not loaded.

    Raises:
        InputError: There is no such file.
        ModelError: It is refused; the sentence says why.
        UnavailableError: onnx is not installed.
    """
    extras.require("Looking at a foreign ONNX file", "onnx")
    path = Path(path)
    model = parse(read_file(path), where=str(path))
    check_model(model, where=str(path), folder=path.parent)
    return model


def check_model(model: ModelProto, *, where: str, folder: Path | None = None) -> None:
    """Let a model pass, or say why not.

    Args:
        model: What `parse` gave.
        where: Its name, for the error.
        folder: Where its weights may lie outside the file; None if nowhere.

    Raises:
        ModelError: It is refused; the sentence says why.
    """
    try:
        _check_head(model)
        _check_interface(model)
        check_tensors(model, folder)
        check_operators(model)
        _check_order(model)
        _check_memory(model, _walk(model))
    except Refusal as refusal:
        raise _error(where, refusal) from refusal
    except RecursionError as error:
        raise _error(where, Refusal("nests too deep")) from error


def read_file(path: Path) -> bytes:
    """Read a file whole, if it is a plain one of a size that this machine can take.

    Raises:
        InputError: There is no such file.
        ModelError: It is no plain file, or too large.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _error(str(path), Refusal("is no plain file", "Give a file."))
        if found.st_size > largest_file():
            raise _error(str(path), too_large(found.st_size))
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def parse(content: bytes, *, where: str) -> ModelProto:
    """Parse an ONNX file within limits of memory and time; what it says is not judged.

    Args:
        content: The file.
        where: Its name, for the error.

    Raises:
        ModelError: It is no ONNX file, has no operators, or would take too much to parse.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        check_wire(content, onnx.ModelProto.DESCRIPTOR)
        model: ModelProto = onnx.ModelProto.FromString(content)
        _check_count(model)
        check_names(model)
    except Refusal as refusal:
        raise _error(where, refusal) from refusal
    except DecodeError as error:
        raise ModelError(
            f"{where} is no ONNX file: {str(error).strip().rstrip('.')}.",
            "Check the path, and that the file is whole.",
        ) from error
    return model


def _check_head(model: ModelProto) -> None:
    from onnx import IR_VERSION, defs

    _check_version("IR", model.ir_version, OLDEST_IR, IR_VERSION)
    versions = {item.domain: item.version for item in model.opset_import}
    if len(versions) < len(model.opset_import) or versions.keys() >= set(OWN):
        raise Refusal("names two versions of one operator set")
    own = versions.get("", versions.get("ai.onnx", 0))
    _check_version("opset", own, OLDEST_OPSET, defs.onnx_opset_version())
    if model.functions:
        raise Refusal(
            f"holds {len(model.functions)} functions, which can nest without end",
            "If you trust it, write them out with onnx.inliner.inline_local_functions.",
        )
    if model.training_info:
        raise Refusal("holds a training loop", "Export it for inference.")
    if model.graph.sparse_initializer:
        raise Refusal("holds sparse weights", "Export it with dense ones.")


def _check_version(what: str, found: int, oldest: int, newest: int) -> None:
    if found < oldest:
        raise Refusal(
            f"is of {what} {found}; {what} {oldest} is the oldest that edgecnn reads",
            "Convert it with onnx.version_converter, or export it again.",
        )
    if found > newest:
        raise Refusal(
            f"is of {what} {found}, but the installed onnx knows none above {newest}",
            "Upgrade it: `pip install --upgrade onnx`.",
        )


def _check_interface(model: ModelProto) -> None:
    graph = model.graph
    if not graph.output:
        raise Refusal("has no outputs")
    for value in (*graph.input, *graph.value_info, *graph.output):
        check_type(value.name, opened(value.type))


def _check_order(model: ModelProto) -> None:
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    known = constants | {value.name for value in graph.input}
    inputs = [value.name for value in graph.input]
    if len(constants) < len(graph.initializer) or len(set(inputs)) < len(inputs):
        raise Refusal("gives one name to two inputs or weights")
    for node in graph.node:
        for name in filter(None, node.input):
            if name not in known:
                raise Refusal(
                    f"reads {shown(name)} before it is made, or it is never made",
                    "Sort its nodes, or export it again.",
                )
        for name in filter(None, node.output):
            if name in known:
                raise Refusal(f"makes {shown(name)} twice")
            known.add(name)
    for value in graph.output:
        if value.name not in known:
            raise Refusal(f"never makes its output {shown(value.name)}")


def _walk(model: ModelProto) -> Walk:
    try:
        return walk(model)
    except Contradiction:
        # Some nets are written for another batch; what is wrong at every batch fails again.
        return walk(model, batch=None)


def _check_count(model: ModelProto) -> None:
    count = len(model.graph.node)
    if not count:
        raise Refusal("is no ONNX file: it has no operators", "Check the path.")
    if count > NODES:
        raise Refusal(f"has {count:,} operators, of which {NODES:,} are allowed")


def _check_memory(model: ModelProto, found: Walk) -> None:
    """Add up what must exist at once: activations while they are needed, computed constants all.

    Engines compute beforehand what no input reaches, and keep it.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    last_use = {name: step for step, node in enumerate(graph.node) for name in node.input}
    last_use |= {value.name: len(graph.node) for value in graph.output}
    ends: Counter[int] = Counter()
    live = 0
    for step, node in enumerate(graph.node):
        constant = constants.issuperset(filter(None, node.input))
        for name in filter(None, node.output):
            size = least_bytes(found.types[name]) if name in found.types else 0
            live += size
            if constant:
                constants.add(name)
            else:
                ends[last_use.get(name, step)] += size
        if live > LIVE_BYTES:
            raise Refusal(
                f"needs more than {size_text(LIVE_BYTES)} for its activations at {place_of(node)} "
                f"({node.op_type}) at batch 1"
            )
        live -= ends[step]


def _error(where: str, refusal: Refusal) -> ModelError:
    remedy = refusal.remedy or _ADVICE.format(shlex.quote(where))
    return ModelError(f"{where} {refusal.reason}.", remedy)
