"""From an ONNX file of all sorts of operators to int8, on the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecnn.bundle import open_bundle
from edgecnn.golden import make_npz
from edgecnn.predictor import load
from tests.conftest import CLASSES, TinyNet, TypeCommand

NET = """
<ir_version: 8, opset_import: ["" : 18]>
net (float[N,3,8,8] image) => (float[N,4] shares, float[N,K,H,W] maps) {
  c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w, b)
  s = HardSwish(c)
  d = Conv<group=6, kernel_shape=[3,3], pads=[1,1,1,1]>(s, depthwise)
  r = LeakyRelu<alpha=0.1>(d)
  g = GlobalAveragePool(r)
  e = Conv<kernel_shape=[1,1]>(g, squeeze)
  h = HardSigmoid(e)
  x = Mul(r, h)
  k = Conv<group=2, kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x, grouped)
  p = PRelu(k, slope)
  t = ConvTranspose<kernel_shape=[2,2], strides=[2,2]>(p, transposed)
  u = Resize<mode="nearest">(p, , scales)
  j = Concat<axis=1>(t, u, x)
  m = Conv<kernel_shape=[1,1]>(j, mix)
  maps = Clip(m, low, high)
  a = GlobalAveragePool(maps)
  f = Flatten(a)
  l = Gemm(f, matrix, bias)
  shares = Softmax<axis=1>(l)
}
"""
SHAPES: dict[str, tuple[int, ...]] = {
    "w": (6, 3, 3, 3),
    "b": (6,),
    "depthwise": (6, 1, 3, 3),
    "squeeze": (6, 6, 1, 1),
}
SHAPES |= {"grouped": (6, 3, 3, 3), "transposed": (6, 6, 2, 2), "mix": (8, 18, 1, 1)}
SHAPES |= {"matrix": (8, 4), "bias": (4,)}
PLAIN = ("--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.3")


def write_net(path: Path) -> Path:
    """Write the net with weights that keep the size of what goes through."""
    random = np.random.default_rng(5)
    constants: dict[str, Any] = {
        name: random.normal(size=shape) * (2 / math.prod(shape[1:])) ** 0.5
        for name, shape in SHAPES.items()
    }
    constants |= {"slope": np.full((6, 1, 1), 0.25), "scales": np.array([1, 1, 2, 2])}
    constants |= {"low": np.array(0), "high": np.array(6)}
    proto = onnx.parser.parse_model(NET)
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.fixture
def pictures(tmp_path: Path, tiny_net: TinyNet) -> Path:
    images, labels = tiny_net.images, tiny_net.labels
    arrays: dict[str, Any] = {
        "x_train": images[:120],
        "y_train": labels[:120],
        "labels": np.array(CLASSES),
    }
    arrays |= {"x_test": images[120:], "y_test": labels[120:]}
    (tmp_path / "pictures.npz").write_bytes(make_npz(arrays))
    return tmp_path / "pictures.npz"


def test_a_net_of_all_sorts_is_quantized_and_what_stays_in_float_is_named(
    tmp_path: Path, pictures: Path, type_command: TypeCommand, tiny_net: TinyNet
) -> None:
    net, folder = write_net(tmp_path / "net.onnx"), tmp_path / "bundle"
    done = type_command(
        "import", net, *PLAIN, "--data", pictures, "--output", folder,
        "--output-kind", "probabilities", "--output-name", "shares", "--no-detective",
    )  # fmt: skip
    assert done.code == 0, done.err
    done = type_command(
        "quantize", folder, "--min-sqnr", "15dB", "--calibration", "minmax",
        "--duration", "0.05s", "--threads", 1, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    body = json.loads(done.out)["body"]
    floating = set(body["work"]["float_operators"])
    assert {"ConvTranspose", "Softmax"} <= floating
    assert not {"HardSwish", "HardSigmoid", "Conv", "FusedConv", "Gemm"} & floating
    tensors = {each["tensor"]: each for each in body["tensors"]}
    assert not tensors["shares"]["rounded"]
    assert all(each["sqnr_db"] is None or each["sqnr_db"] > 15 for each in tensors.values())
    assert body["gate"]["outcome"] == "pass"
    seen, after = {}, open_bundle(folder)
    for name in ("fp32", "int8"):
        with load(after, variant=name, threads=1) as predictor:
            seen[name] = predictor.run_all(tiny_net.images[120:])
    assert list(seen["int8"]) == list(seen["fp32"])
    same = seen["int8"]["shares"].argmax(axis=1) == seen["fp32"]["shares"].argmax(axis=1)
    assert same.mean() == body["paired"]["same"] > 0.8
