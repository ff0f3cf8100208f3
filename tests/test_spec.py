"""The input contract refuses what cannot be an input."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgecnn.errors import InputError
from edgecnn.records import from_json, to_json
from edgecnn.spec import InputContract, TensorSpec, Tolerance, Variant


def test_a_contract_knows_its_pixels() -> None:
    assert InputContract(32, 48).pixel_shape == (32, 48, 3)
    gray = InputContract(28, 28, "gray", mean=(0.1,), std=(0.3,))
    assert gray.pixel_shape == (28, 28, 1)
    assert from_json(InputContract, to_json(gray), where="x") == gray


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"height": 0}, "has no pixels"),
        ({"width": -1}, "has no pixels"),
        ({"color": "gray"}, "mean has 3 values, but gray has 1"),
        ({"std": (1.0, 1.0)}, "std has 2 values, but rgb has 3"),
        ({"std": (1.0,)}, "std has 1 value, but rgb has 3"),
        ({"std": (1.0, 0.0, 1.0)}, "not a number above zero"),
        ({"std": (1.0, math.nan, 1.0)}, "not a number above zero"),
        ({"std": (1.0, math.inf, 1.0)}, "not a number above zero"),
        ({"scale": 0.0}, "not a number above zero"),
        ({"mean": (0.0, math.nan, 0.0)}, "mean has a value that is no number"),
        ({"resize": "squash"}, "'squash' is no resize rule"),
        ({"resize": "crop"}, "'crop' is no resize rule"),
        ({"resize": "crop 0"}, "'crop 0' is no resize rule"),
        ({"resize": "crop 31"}, "leaves pictures smaller than 32x32"),
        ({"labels": ("cat", "\x1b[2Jdog")}, "control character"),
    ],
)
def test_impossible_contracts_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        InputContract(**{"height": 32, "width": 32, **changes})


def test_one_value_for_three_channels_is_repeated_in_the_remedy() -> None:
    with pytest.raises(InputError) as caught:
        InputContract(8, 8, std=(1.0,))
    assert caught.value.remedy == "Give one for each channel, such as `--std 1,1,1`."


def test_a_grey_input_is_told_what_to_give() -> None:
    with pytest.raises(InputError, match="gray has 1 channel\\.") as caught:
        InputContract(28, 28, "gray")
    assert "`--mean 0.5 --std 0.5`" in caught.value.remedy


def test_impossible_contracts_in_a_file_are_refused() -> None:
    with pytest.raises(InputError, match="has no pixels"):
        from_json(InputContract, b'{"height": 0, "width": 1}', where="x")


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop 32", "crop 256"])
def test_the_three_resize_rules_are_taken(resize: str) -> None:
    assert InputContract(32, 32, resize=resize).resize == resize


def test_a_tensor_spec_reads_as_a_line() -> None:
    spec = TensorSpec("pixels", "uint8", ("batch", 32, 32, 3))
    assert str(spec) == "pixels: uint8 [batch, 32, 32, 3]"


def test_a_variants_path_is_its_first_file() -> None:
    assert Variant("x", "fp32", "ncnn", ("a/x.param", "a/x.bin")).path.name == "x.param"


@pytest.mark.parametrize(
    "limits",
    [
        {"atol": -1.0},
        {"atol": float("nan")},
        {"atol": float("inf")},
        {"top1": 1.5},
        {"top1": -0.1},
        {"sqnr_db": float("nan")},
    ],
)
def test_a_tolerance_that_limits_nothing_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no limit"):
        Tolerance(**limits)
