"""The names of what a net answers."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import replace
from typing import Any

import pytest

from edgecnn.errors import ModelError
from edgecnn.spec import InputContract

CONTRACT = InputContract(8, 8)
Head = namedtuple("Head", "logits aux")


def tensors(count: int) -> list[Any]:
    import torch

    return [torch.full((2, 4), float(i)) for i in range(count)]


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (lambda a, b, c: a, ["logits"]),
        (lambda a, b, c: [(a,)], ["logits"]),
        (lambda a, b, c: (a, None, b), ["output_0", "output_2"]),
        (lambda a, b, c: OrderedDict(out=a, aux=b), ["out", "aux"]),
        (lambda a, b, c: Head(a, b), ["logits", "aux"]),
        (lambda a, b, c: {"boxes": [a, b], "scores": c}, ["boxes.0", "boxes.1", "scores"]),
        (lambda a, b, c: (a, {"input": b}), ["output_0", "output_1.input"]),
        (lambda a, b, c: {"input": a, "pixels": b}, ["output.input", "output.pixels"]),
    ],
)
def test_outputs_are_named_by_what_leads_to_them(answer: Any, names: list[str]) -> None:
    from edgecnn.nets.outputs import named_outputs

    a, b, c = tensors(3)
    found = named_outputs(answer(a, b, c), CONTRACT)
    assert list(found) == names
    assert found[names[0]] is a


@pytest.mark.parametrize(
    ("kind", "name"), [("probabilities", "probabilities"), ("other", "output")]
)
def test_a_single_output_is_named_by_its_kind(kind: Any, name: str) -> None:
    from edgecnn.nets.outputs import named_outputs

    assert list(named_outputs(tensors(1)[0], replace(CONTRACT, output_kind=kind))) == [name]


@pytest.mark.parametrize("answer", [3, ([], None), {"count": 3}, "logits"])
def test_what_is_no_tensor_is_refused(answer: object) -> None:
    from edgecnn.nets.outputs import named_outputs

    with pytest.raises(ModelError):
        named_outputs(answer, CONTRACT)
