from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import ModelError
from edgecnn.importing.contract import Choice
from edgecnn.importing.onnx_facts import (
    as_rows,
    find_image,
    graph_facts,
    metadata_facts,
    output_facts,
)
from tests.importing import foreign


def _model(shape: list[Any], weights: tuple[int, ...] = (4, 3, 1, 1)) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(weights, np.float32), "w")],
    )
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["N", 3, 8, 6], (None, 8, 6, 3, "nchw", True)),
        ([2, 3, 8, 6], (2, 8, 6, 3, "nchw", True)),
        (["N", 8, 6, 3], (None, 8, 6, 3, "nhwc", True)),
        (["N", 1, 8, 6], (None, 8, 6, 1, "nchw", True)),
        (["N", 3, None, None], (None, None, None, 3, "nchw", True)),
        ([None, None, None, None], (None, None, None, 3, "nchw", False)),
        (["N", 3, 8, 3], (None, 8, 3, 3, "nchw", False)),
    ],
)
def test_the_picture_among_the_inputs(shape: list[Any], expected: tuple[Any, ...]) -> None:
    image = find_image(_model(shape), where="net.onnx")
    found = (image.batch, image.height, image.width, image.channels, image.layout, image.sure)
    assert found == expected


def test_a_shape_that_fits_both_is_read_as_the_user_says() -> None:
    image = find_image(_model(["N", 3, 8, 3]), where="net.onnx", layout="nhwc")
    assert (image.layout, image.height, image.width) == ("nhwc", 3, 8)
    with pytest.raises(ModelError, match="as nhwc"):
        find_image(_model(["N", 3, 8, 6]), where="net.onnx", layout="nhwc")


@pytest.mark.parametrize("shape", [["N", 4, 8, 8], [3, 8, 8], ["N", 12], ["N", 3, 8, 8, 8]])
def test_what_is_no_picture_is_refused(shape: list[Any]) -> None:
    with pytest.raises(ModelError, match=r"x: float32") as refusal:
        find_image(_model(shape), where="net.onnx")
    assert "edgecnn bench net.onnx" in refusal.value.remedy


def test_the_graph_is_certain() -> None:
    facts = graph_facts(find_image(_model(["N", 8, 6, 1], (4, 1, 1, 1)), where="net.onnx"))
    assert facts.certain
    assert facts.choice == Choice(input_size=(8, 6), color="gray", layout="nhwc")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, []),
        ({"Image__BitmapPixelFormat": "Bgr8"}, [Choice(color="bgr")]),
        (
            {"Image__BitmapPixelFormat": "Gray8", "Image__NominalPixelRange": "Normalized_1_1"},
            [Choice(color="gray", scale=1 / 255, mean=(0.5,), std=(0.5,))],
        ),
        (
            {"Image__NominalPixelRange": "NominalRange_0_255"},
            [Choice(scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)],
        ),
        ({"character": "0\n90\n180"}, [Choice(labels=("0", "90", "180"))]),
        ({"names": "{0: 'cat'}"}, []),
    ],
)
def test_metadata(entries: dict[str, str], expected: list[Choice]) -> None:
    model = _model(["N", 3, 8, 8])
    foreign.metadata(**entries)(model)
    assert [facts.choice for facts in metadata_facts(model)] == expected


def test_pixels_of_a_nominal_range() -> None:
    model = _model(["N", 3, 8, 8])
    foreign.metadata(Image__NominalPixelRange="NominalRange_16_235")(model)
    [facts] = metadata_facts(model)
    scale, [mean, *_], [std, *_] = (
        facts.choice.scale,
        facts.choice.mean or (),
        facts.choice.std or (),
    )
    assert scale is not None
    black, white = ((pixel * scale - mean) / std for pixel in (0, 255))
    assert (black, white) == pytest.approx((16, 235))


@pytest.mark.parametrize("names", ["{0: 'cat', 1: 'dog'}", "['cat', 'dog']"])
def test_ultralytics_metadata(names: str) -> None:
    model = _model(["N", 3, "h", "w"])
    foreign.metadata(names=names, imgsz="[64, 96]", task="classify")(model)
    [facts] = metadata_facts(model)
    assert facts.source == "Ultralytics' metadata"
    assert facts.choice.input_size == (64, 96)
    assert facts.choice.labels == ("cat", "dog")
    assert facts.choice.resize == "crop 96"
    foreign.metadata(names=names, imgsz="[64, 96]", task="detect")(model)
    [facts] = metadata_facts(model)
    assert (facts.choice.labels, facts.choice.resize) == (None, "letterbox")


@pytest.mark.parametrize(
    "names",
    [
        "__import__('os')",
        "{1: 'a', 'b': 'c'}",
        "{[]: 1}",
        "['cat', 'cat']",
        r"['cat', '\x1b[2J']",
        r"['cat', '\ud800']",
        repr(["cat", "a" * (1 << 20)]),
    ],
)
def test_names_that_are_no_list_of_names_are_no_labels(names: str) -> None:
    model = _model(["N", 3, 8, 8])
    foreign.metadata(names=names, imgsz="8", task="classify")(model)
    [facts] = metadata_facts(model)
    assert facts.choice.labels is None


@pytest.mark.parametrize("size", ["9" * 5000, "[60000, 60000]", "0", ""])
def test_sizes_that_are_none_are_passed_over(size: str) -> None:
    model = _model(["N", 3, "h", "w"])
    foreign.metadata(names="['a', 'b']", imgsz=size, task="classify")(model)
    [facts] = metadata_facts(model)
    assert (facts.choice.input_size, facts.choice.labels) == (None, ("a", "b"))


def _ending(operator: str, outputs: dict[str, Any], wanted: str | None = None) -> Choice:
    nodes = [
        helper.make_node(operator, ["x"], ["inner"]),
        helper.make_node("Identity", ["inner"], ["scores"]),
    ]
    graph = helper.make_graph(nodes, "net", [], [])
    return output_facts(helper.make_model(graph), outputs, wanted).choice


ROWS = np.array([[0.5, 3.0], [0.25, 1.0]], np.float32)


def test_what_the_outputs_are() -> None:
    shares = np.array([[0.5, 0.5], [0.125, 0.875]], np.float32)
    assert _ending("Relu", {"scores": ROWS}).output_kind == "logits"
    assert _ending("Relu", {"scores": shares}).output_kind == "probabilities"
    assert _ending("Softmax", {"scores": ROWS}).output_kind == "probabilities"
    assert _ending("Sigmoid", {"scores": ROWS}).output_kind == "probabilities"
    assert _ending("Relu", {"scores": ROWS[:, :1]}).output_kind == "other"
    assert _ending("Relu", {"scores": ROWS.astype(np.int64)}).output_kind == "other"


def test_which_output_holds_the_scores() -> None:
    maps = np.zeros((2, 5, 3, 3), np.float32)
    assert _ending("Relu", {"maps": maps, "scores": ROWS}).output == "scores"
    assert _ending("Relu", {"scores": ROWS, "maps": maps}).output is None
    assert _ending("Relu", {"scores": ROWS, "maps": maps}, "maps").output_kind == "other"


def test_rows() -> None:
    assert as_rows(np.zeros((2, 5, 1, 1), np.float32)) is not None
    for shape in [(2, 5, 3, 3), (2, 1), (2,)]:
        assert as_rows(np.zeros(shape, np.float32)) is None
