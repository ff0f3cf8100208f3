"""What goes into plain files: drawn, read, and handed over run by run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError
from edgecnn.plain import (
    Request,
    batch_of,
    batches,
    feeds,
    gather,
    make_inputs,
    matching,
    parse_shapes,
)
from edgecnn.spec import TensorSpec
from tests.plain.graphs import taking

IMAGE = TensorSpec("image", "uint8", ("N", 4, 4, 3))
TABLE = TensorSpec("table", "float32", (7, 2))
GAIN = TensorSpec("gain", "float32", ())


def save(path: Path, **arrays: Any) -> Request:
    np.savez(path, **arrays)
    return Request(path)


@pytest.mark.parametrize(
    ("text", "shape"), [("x=1x3x224x224", (1, 3, 224, 224)), ("a=b=2", (2,)), ("x=1X3", (1, 3))]
)
def test_shapes_are_read_as_they_are_typed(text: str, shape: tuple[int, ...]) -> None:
    assert list(parse_shapes([text]).values()) == [shape]


@pytest.mark.parametrize("text", ["x", "x=", "=1x3", "x=1x0", "x=1x-3", "x=1,3", "x=1x3x", "1x3"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no shape of an input") as caught:
        parse_shapes([text])
    assert "--input-shape x=1x3x224x224" in caught.value.remedy


def test_a_shape_is_given_once() -> None:
    with pytest.raises(InputError, match="'x' is given twice"):
        parse_shapes(["x=1", "x=2"])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("bool", {0, 1}),
        ("int8", {0, 1}),
        ("int64", {0, 1}),
        ("uint8", set(range(256))),
        ("uint16", set(range(256))),
    ],
)
def test_whole_numbers_are_drawn_from_few(tmp_path: Path, dtype: str, values: set[int]) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", dtype, ("N", 500)))
    drawn = make_inputs(file, Request()).arrays["x"]
    assert (drawn.dtype, drawn.shape) == (np.dtype(dtype), (8, 500))
    assert set(drawn.ravel().tolist()) == values


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_precision_gets_the_same_numbers(tmp_path: Path, dtype: str) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", dtype, (1, 300)))
    drawn = make_inputs(file, Request(seed=3)).arrays["x"]
    assert drawn.dtype == dtype
    other = taking(tmp_path / "y.onnx", TensorSpec("x", "float16", (1, 300)))
    np.testing.assert_array_equal(drawn, make_inputs(other, Request(seed=3)).arrays["x"])
    assert drawn.std() == pytest.approx(1, abs=0.1)


def test_only_what_has_a_batch_is_drawn_several_times(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", IMAGE, TABLE, GAIN)
    inputs = make_inputs(file, Request())
    shapes = {name: value.shape for name, value in inputs.arrays.items()}
    assert shapes == {"image": (8, 4, 4, 3), "table": (7, 2), "gain": ()}
    assert (inputs.samples, inputs.step, str(inputs)) == (8, None, "random inputs (seed 0)")


def test_large_inputs_are_fewer(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", ("N", 3, 224, 224)))
    assert make_inputs(file, Request()).samples == 3
    huge = taking(tmp_path / "y.onnx", TensorSpec("x", "float32", (1, 3, 1024, 1024)))
    assert make_inputs(huge, Request()).samples == 1


def test_a_fixed_batch_of_one_is_run_several_times(tmp_path: Path) -> None:
    size = TensorSpec("size", "int64", (1,))
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", (1, 4)), size)
    inputs = make_inputs(file, Request())
    runs = feeds(inputs, file)
    assert [run["x"].shape for run in runs] == [(1, 4)] * 8
    assert [run["size"].shape for run in runs] == [(1,)] * 8
    assert len({run["x"].tobytes() for run in runs}) == 8


def test_without_inputs_there_is_one_run(tmp_path: Path) -> None:
    from onnx import helper

    from tests.plain.graphs import opened
    from tests.runtimes import graphs

    nodes = [helper.make_node("Neg", ["c"], ["y"])]
    outputs = (TensorSpec("y", "float32", (1,)),)
    model = graphs.model(nodes, (), outputs, {"c": np.ones(1, np.float32)})
    file = opened(tmp_path / "x.onnx", model)
    inputs = make_inputs(file, Request())
    assert (str(inputs), feeds(inputs, file)) == ("no inputs", [{}])
    assert batches(file, Request(), 1, file) == ([{}], "no inputs, for the file takes none")
    with pytest.raises(InputError, match="takes no inputs"):
        make_inputs(file, save(tmp_path / "x.npz", x=np.ones(1)))
    with pytest.raises(InputError, match="has no input 'x'; it has none"):
        make_inputs(file, Request(shapes={"x": (1,)}))


def test_given_shapes_close_what_is_open(tmp_path: Path) -> None:
    first = TensorSpec("x", "float32", ("N", 3, "H", "W"))
    second = TensorSpec("mask", "float32", ("N", "H", "W"))
    file = taking(tmp_path / "x.onnx", first, second)
    inputs = make_inputs(file, Request(shapes={"x": (2, 3, 5, 6)}))
    assert {name: value.shape for name, value in inputs.arrays.items()} == {
        "x": (2, 3, 5, 6),
        "mask": (2, 5, 6),
    }
    assert (inputs.samples, inputs.step) == (2, 2)
    ones = make_inputs(file, Request(shapes={"x": (1, 3, 5, 6)}))
    assert (ones.samples, [len(run["mask"]) for run in feeds(ones, file)]) == (8, [1] * 8)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ((1, 4, 5, 6), "cannot be 1x4x5x6"),
        ((3, 5, 6), "cannot be 3x5x6"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, shape: tuple[int, ...], problem: str) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", ("N", 3, "H", "?")))
    with pytest.raises(InputError, match=problem) as caught:
        make_inputs(file, Request(shapes={"x": shape}))
    assert "--input-shape x=1x3x224x224" in caught.value.remedy
    with pytest.raises(InputError, match="has no input 'y'; it has x"):
        make_inputs(file, Request(shapes={"y": shape}))
    with pytest.raises(InputError, match="leaves H, axis 3 open") as caught:
        make_inputs(file, Request())
    assert "--input-shape x=1x3x224x224" in caught.value.remedy


def test_the_remedy_for_open_sizes_is_quoted_for_a_shell(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("the input", "float32", (1, "W")))
    with pytest.raises(InputError, match="leaves W open") as caught:
        make_inputs(file, Request())
    assert "--input-shape 'the input=1x16'" in caught.value.remedy


def test_inputs_are_read_from_a_file(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", IMAGE, TABLE)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    request = save(tmp_path / "real.npz", table=np.ones((7, 2), np.float32), image=pixels)
    inputs = make_inputs(file, request)
    assert (str(inputs), inputs.samples, inputs.seed) == ("real.npz", 5, None)
    runs = feeds(inputs, file, 2)
    assert [len(run["image"]) for run in runs] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([run["image"] for run in runs]), pixels)
    assert all(run["table"].shape == (7, 2) for run in runs)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"other": np.ones((2, 4), np.float32)}, r"takes x, y, but .*bad\.npz holds other"),
        ({"x": np.ones((2, 4), np.float32)}, r"takes x, y, but .*bad\.npz holds x"),
        ({"x": np.ones((2, 4)), "y": np.ones((2, 1), np.float32)}, "'x' is <f8"),
        ({"x": np.ones((2, 5), np.float32), "y": np.ones((2, 1), np.float32)}, r"shape \[2, 5\]"),
        ({"x": np.ones((0, 4), np.float32), "y": np.ones((0, 1), np.float32)}, r"shape \[0, 4\]"),
        ({"x": np.ones((2, 4), np.float32), "y": np.ones((3, 1), np.float32)}, "hold 2, 3 samples"),
        ({"x": np.array([{}]), "y": np.ones((1, 1), np.float32)}, "no npz file of plain arrays"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], problem: str) -> None:
    specs = (TensorSpec("x", "float32", ("N", 4)), TensorSpec("y", "float32", ("N", 1)))
    file = taking(tmp_path / "x.onnx", *specs)
    with pytest.raises(InputError, match=problem):
        make_inputs(file, save(tmp_path / "bad.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    file = taking(tmp_path / "x.onnx", TABLE)
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no npz file of plain arrays"):
        make_inputs(file, Request(path))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        make_inputs(file, Request(tmp_path / "absent.npz"))
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InputError, match="no npz file"):
        make_inputs(file, Request(tmp_path / "one.npy"))


def test_the_remedy_for_missing_arrays_can_be_pasted(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("in:0", "float32", ("N", 4)))
    with pytest.raises(InputError) as caught:
        make_inputs(file, save(tmp_path / "x.npz", x=np.ones((2, 4), np.float32)))
    code = caught.value.remedy.removeprefix("Write it with `").removesuffix("`.")
    scope = {"numpy": np, "array": np.ones((2, 4), np.float32)}
    exec(code.replace("'x.npz'", repr(str(tmp_path / "x.npz"))), scope)
    assert make_inputs(file, Request(tmp_path / "x.npz")).samples == 2


def test_other_names_are_matched_in_their_order_and_said(tmp_path: Path) -> None:
    one = taking(tmp_path / "one.onnx", IMAGE, TABLE)
    swapped = taking(tmp_path / "swapped.onnx", TABLE, IMAGE)
    renamed = taking(
        tmp_path / "renamed.onnx",
        TensorSpec("photo", "uint8", (4, 4, 4, 3)),
        TensorSpec("list", "float32", (7, 2)),
    )
    inputs = make_inputs(one, Request())
    assert matching(inputs, swapped) == ""
    assert matching(inputs, renamed) == (
        "renamed.onnx calls its inputs otherwise: image into photo, table into list."
    )
    runs = feeds(inputs, renamed)
    assert [run["photo"].shape for run in runs] == [(4, 4, 4, 3)] * 2
    np.testing.assert_array_equal(runs[1]["photo"], inputs.arrays["image"][4:])


@pytest.mark.parametrize(
    "specs",
    [
        (TensorSpec("x", "uint8", ("N", 4)),),
        (TensorSpec("x", "float32", ("N", 5)),),
        (TensorSpec("x", "float32", ("N", 4, 1)),),
        (TensorSpec("x", "float32", ("N", 4)), GAIN),
    ],
)
def test_other_inputs_are_refused(tmp_path: Path, specs: tuple[TensorSpec, ...]) -> None:
    one = taking(tmp_path / "one.onnx", TensorSpec("x", "float32", ("N", 4)))
    other = taking(tmp_path / "other.onnx", *specs)
    with pytest.raises(InputError, match=r"other\.onnx takes x: .* not what the other file takes"):
        feeds(make_inputs(one, Request()), other)


def test_numbers_that_a_smaller_float_cannot_hold(tmp_path: Path) -> None:
    one = taking(tmp_path / "one.onnx", TensorSpec("x", "float32", ("N", 1)))
    half = taking(tmp_path / "half.onnx", TensorSpec("x", "float16", ("N", 1)))
    fine = make_inputs(one, save(tmp_path / "x.npz", x=np.array([[0.5]], np.float32)))
    assert feeds(fine, half)[0]["x"].dtype == np.float16
    bad = make_inputs(one, save(tmp_path / "x.npz", x=np.array([[0.1]], np.float32)))
    with pytest.raises(InputError, match="as float16, which cannot hold every number") as caught:
        feeds(bad, half)
    assert ".astype('float16').astype('float32')" in caught.value.remedy


@pytest.mark.parametrize(
    ("shape", "asked", "size"),
    [(("N", 4), None, 1), (("N", 4), 5, 5), ((3, 4), None, 3), ((3, 4), 3, 3), ((4,), None, 1)],
)
def test_batches(tmp_path: Path, shape: Any, asked: int | None, size: int) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", shape))
    assert batch_of(file, Request(), asked) == size
    runs, text = batches(file, Request(), size, file)
    if len(shape) == 1:
        assert (len(runs), text) == (1, "random inputs (seed 0), the same in every call")
    else:
        assert [run["x"].shape for run in runs] == [(size, 4)] * 8
        assert text == f"{8 * size} random inputs (seed 0), in turn in 8 batches of {size}"


@pytest.mark.parametrize(("shape", "asked"), [((3, 4), 2), ((4,), 2), (("N", 4), 3)])
def test_other_batches_are_refused(tmp_path: Path, shape: Any, asked: int) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", shape))
    shapes = {"x": (1, 4)} if shape == ("N", 4) else {}
    with pytest.raises(InputError, match=rf"takes batches of \d, not {asked}") as caught:
        batch_of(file, Request(shapes=shapes), asked)
    assert "--batch-size" in caught.value.remedy


@pytest.mark.parametrize(
    ("rows", "size", "lengths"), [(5, 2, [2, 2]), (3, 4, [4]), (99, 1, [1] * 8)]
)
def test_the_users_inputs_fill_whole_batches(
    tmp_path: Path, rows: int, size: int, lengths: list[int]
) -> None:
    file = taking(tmp_path / "x.onnx", TensorSpec("x", "float32", ("N", 1)))
    request = save(tmp_path / "x.npz", x=np.arange(rows, dtype=np.float32)[:, None])
    runs, text = batches(file, request, size, file)
    assert [len(run["x"]) for run in runs] == lengths
    seen = np.concatenate([run["x"].ravel() for run in runs])
    np.testing.assert_array_equal(seen, np.arange(len(seen)) % rows)
    assert text.startswith(f"{sum(lengths)} of x.npz, in turn in {len(lengths)} batch")


def test_outputs_are_put_together(tmp_path: Path) -> None:
    file = taking(tmp_path / "x.onnx", TABLE)
    parts: list[dict[str, Any]] = [
        {"a": np.ones((2, 3)), "b": np.float32(1)},
        {"a": np.zeros((1, 3)), "b": np.float32(2)},
    ]
    found = gather(parts, file)
    assert found["a"].shape == (3, 3)
    np.testing.assert_array_equal(found["b"], [1, 2])
    with pytest.raises(InputError, match=r"'a' of x\.onnx changes its shape"):
        gather([{"a": np.ones((1, 3))}, {"a": np.ones((1, 4))}], file)


def test_an_npz_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = taking(tmp_path / "net.onnx", TensorSpec("x", "float32", ("N", 4)))
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1 << 16, 4), np.float32))
    monkeypatch.setattr("edgecnn.plain.inputs.granted_memory", lambda: 1 << 20)
    with pytest.raises(InputError, match=r"unpacks to 0\.0 GB, more than a quarter"):
        make_inputs(file, Request(tmp_path / "x.npz"))
    monkeypatch.setattr("edgecnn.plain.inputs.granted_memory", lambda: 0)
    assert make_inputs(file, Request(tmp_path / "x.npz")).samples == 1 << 16
