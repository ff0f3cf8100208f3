"""A net's graph and weights in one safetensors file: no code of the model, and no pickle.

torch.export's own archive may hold pickles, which its loader runs. Here the graph is JSON in the
file's metadata: ATen operators by name, in the order in which they run. Whoever reads it can call
nothing else.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgecnn.errors import ModelError
from edgecnn.runtime import TensorSpec

# The digit is the layout of what stands there.
_KEY = "edgecnn.torch.1"
# What graphs with an open batch compute their sizes with, and how they take one of many outputs.
_PLAIN = ("add", "eq", "floordiv", "ge", "getitem", "gt", "le", "lt", "mod", "mul", "neg", "sub")
_NAMED = (torch.dtype, torch.layout, torch.memory_format)


@dataclass(frozen=True)
class Call:
    """One operator of a graph.

    Attributes:
        name: What its answer is called.
        target: The operator, such as `aten.conv2d.default` or `operator.getitem`.
        args: Numbers, texts, lists, and what `_write` makes of all else.
        kwargs: Likewise, by name.
    """

    name: str
    target: str
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A graph and its weights.

    Attributes:
        inputs: What goes in.
        outputs: What comes out.
        given: What the operators call the inputs, in their order.
        calls: The operators, in their order.
        results: Whose answers are the outputs, in their order.
        weights: Tensors that never change, by the name under which operators use them.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    given: tuple[str, ...]
    calls: tuple[Call, ...]
    results: tuple[str, ...]
    weights: Mapping[str, torch.Tensor]

    def save(self, path: Path) -> None:
        """Write it as a safetensors file."""
        from safetensors.torch import save_file

        graph = {
            "inputs": [asdict(spec) for spec in self.inputs],
            "outputs": [asdict(spec) for spec in self.outputs],
            "given": self.given,
            "calls": [asdict(call) for call in self.calls],
            "results": self.results,
        }
        weights = {
            name: value.detach().clone().contiguous() for name, value in self.weights.items()
        }
        save_file(weights, path, metadata={_KEY: json.dumps(graph)})

    def module(self, place: torch.device, number: torch.dtype) -> torch.fx.GraphModule:
        """Make a module of it: a function of the inputs that gives a tuple of the outputs.

        torch.fx writes its code as text, so no name that the file gives may get into it.

        Args:
            place: Where to compute.
            number: What stands in for float32.
        """
        root, graph = nn.Module(), torch.fx.Graph()
        known: dict[str, torch.fx.Node] = {}
        for name in self.given:
            known[name] = graph.placeholder(f"input_{len(known)}")
        for index, (name, value) in enumerate(self.weights.items()):
            moved = value.to(place, number if value.dtype == torch.float32 else value.dtype)
            root.register_buffer(f"weight_{index}", moved)
            known[name] = graph.get_attr(f"weight_{index}")
        read = _Reader(known, place, number)
        for call in self.calls:
            args, kwargs = tuple(map(read.value, call.args)), _each(read.value, call.kwargs)
            target = _operator(call.target)
            _refuse_unknown(kwargs, target)
            known[call.name] = graph.call_function(target, args, kwargs)
        graph.output(tuple(known[name] for name in self.results))
        return torch.fx.GraphModule(root, graph)


@dataclass(frozen=True)
class _Reader:
    known: Mapping[str, torch.fx.Node]
    place: torch.device
    number: torch.dtype

    def value(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self.value(each) for each in written]
        if not isinstance(written, dict):
            return written
        ((kind, name),) = written.items()
        if kind == "of":
            return self.known[name]
        if kind == "device":
            return self.place
        found = getattr(torch, str(name))
        if not isinstance(found, _NAMED):
            raise TypeError(f"'{name}' is no {kind}")
        return self.number if found is torch.float32 else found


def read_program(path: Path) -> Program:
    """Read a program.

    Raises:
        ModelError: The file is none.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            graph = json.loads((file.metadata() or {})[_KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Program(
            inputs=tuple(map(_spec, graph["inputs"])),
            outputs=tuple(map(_spec, graph["outputs"])),
            given=tuple(graph["given"]),
            calls=tuple(Call(**call) for call in graph["calls"]),
            results=tuple(graph["results"]),
            weights=weights,
        )
    except Exception as error:
        raise ModelError(
            f"{path} is no program of PyTorch's operators: {one_line(error)}.",
            "Make it anew with `edgecnn export --format torch`.",
        ) from error


def one_line(error: BaseException) -> str:
    """Give the first line of what an error says, without a full stop."""
    text = next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
    return text.rstrip(".")


def write_calls(graph: torch.fx.Graph) -> Iterator[Call]:
    """Describe the operators of a graph that torch.export made.

    Raises:
        ModelError: There is something else in it than ATen operators.
    """
    for node in graph.nodes:
        if node.op == "call_function" and not _checks_alone(node):
            args, kwargs = [_write(each) for each in node.args], _each(_write, node.kwargs)
            yield Call(node.name, _name(node.target), args, kwargs)
        elif node.op not in ("call_function", "placeholder", "output"):
            raise _unwritable(node.name)


def _checks_alone(node: torch.fx.Node) -> bool:
    # What goes in is checked before it comes here.
    schema = getattr(node.target, "_schema", None)
    return not node.users and schema is not None and not schema.returns


def _write(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_write(each) for each in value]
    if isinstance(value, torch.fx.Node):
        return {"of": value.name}
    if isinstance(value, torch.device):
        return {"device": "session"}
    if isinstance(value, _NAMED):
        return {type(value).__name__: str(value).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise _unwritable(str(value))


def _name(target: object) -> str:
    name = getattr(target, "__name__", "")
    if name in _PLAIN and getattr(operator, name) is target:
        return f"operator.{name}"
    written = str(target)
    if not isinstance(target, torch._ops.OpOverload) or not written.startswith("aten."):
        raise _unwritable(name or written)
    return written


def _operator(name: str) -> Callable[..., Any]:
    space, _, rest = name.partition(".")
    if space == "operator" and rest in _PLAIN:
        found: Callable[..., Any] = getattr(operator, rest)
        return found
    if not re.fullmatch(r"aten\.\w+\.\w+", name):
        raise ValueError(f"'{name}' is no ATen operator")
    overload = getattr(getattr(torch.ops.aten, rest.partition(".")[0]), rest.partition(".")[2])
    # One of them reads any file.
    if any(argument.name == "filename" for argument in overload._schema.arguments):
        raise ValueError(f"'{name}' reads files")
    return overload  # type: ignore[no-any-return]


def _refuse_unknown(kwargs: Mapping[str, Any], target: Callable[..., Any]) -> None:
    schema = getattr(target, "_schema", None)
    known = {argument.name for argument in schema.arguments} if schema else set()
    unknown = kwargs.keys() - known
    if unknown:
        raise ValueError(f"{target} takes no {', '.join(map(repr, sorted(unknown)))}")


def _unwritable(what: str) -> ModelError:
    return ModelError(
        f"The net's graph holds '{what}', which is no ATen operator or plain value.",
        "Use the ONNX variant, or change that part of the net's forward().",
    )


def _each(change: Callable[[Any], Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: change(value) for name, value in values.items()}


def _spec(written: dict[str, Any]) -> TensorSpec:
    return TensorSpec(written["name"], written["dtype"], tuple(written["shape"]))
