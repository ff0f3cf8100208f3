"""The tree of errors: drawn as it is, and one exit code on each branch."""

from __future__ import annotations

import inspect
import re

import pytest

from edgecnn import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.EdgeCNNError)
]


def test_the_tree_at_the_head_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)(?: +(\d))?", errors.__doc__ or "")
    assert {name for name, _ in drawn} == {kind.__name__ for kind in KINDS} - {"EdgeCNNError"}
    codes = {kind.__name__: kind.exit_code for kind in KINDS}
    assert all(codes[name] == int(code) for name, code in drawn if code)
    under_input = [kind for kind in KINDS if issubclass(kind, errors.InputError)]
    assert {kind.exit_code for kind in under_input} == {2}


def test_problem_and_remedy_are_one_text() -> None:
    error = errors.DataError("There is no cat.", "Get a cat.")
    assert str(error) == "There is no cat. Get a cat."
    assert str(errors.DataError("There is no cat.")) == "There is no cat."


def test_requirements_travel_with_the_error() -> None:
    need = errors.Requirement("CUDA", "12", "none", ok=False)
    with pytest.raises(errors.UnavailableError) as caught:
        raise errors.UnavailableError("No CUDA.", requirements=(need,))
    assert caught.value.requirements == (need,)
