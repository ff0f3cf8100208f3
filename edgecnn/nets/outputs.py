"""What a net answers, as tensors with names: one, or several in tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from edgecnn.errors import ModelError
from edgecnn.spec import InputContract

_ONLY = {"logits": "logits", "probabilities": "probabilities", "other": "output"}
# What exported graphs call their input.
_TAKEN = {"input", "pixels"}

Path = tuple[str, ...]


def named_outputs(answer: object, contract: InputContract) -> dict[str, torch.Tensor]:
    """Give the tensors of a net's answer by their names, in their order.

    A single tensor is called `logits`, `probabilities` or `output`, after the contract's kind of
    output. Several are called by the keys and fields that lead to them, joined by dots, and by
    `output_0`, `output_1`, … in a tuple or list. What is None is no output.

    Args:
        answer: What the net's forward() returned.
        contract: Gives the kind of output.

    Raises:
        ModelError: The answer holds something else than tensors, or none.
    """
    found = dict(_leaves(answer, ()))
    if not found:
        raise ModelError("The net answers with no tensor.", "Let its forward() return one.")
    if len(found) == 1 and all(step.isdigit() for step in next(iter(found))):
        return {_ONLY[contract.output_kind]: next(iter(found.values()))}
    return {_name(path): tensor for path, tensor in found.items()}


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, torch.Tensor]]:
    if value is None:
        return
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    for step, part in _parts(value):
        yield from _leaves(part, (*path, step))


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        return ((str(key), part) for key, part in value.items())
    if isinstance(value, tuple | list):
        fields = getattr(value, "_fields", map(str, range(len(value))))
        return iter(zip(fields, value, strict=True))
    raise ModelError(
        f"The net answers with a {type(value).__name__} among its outputs.",
        "Wrap the net so that its forward() returns tensors, in tuples, lists or dicts.",
    )


def _name(path: Path) -> str:
    first = f"output_{path[0]}" if path[0].isdigit() else path[0]
    name = ".".join((first, *path[1:]))
    return f"output.{name}" if name in _TAKEN else name
