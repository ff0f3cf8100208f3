"""The gate: hostile files are refused with their reason, plain nets pass."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from onnx import TensorProto, helper, numpy_helper, parser

from edgecnn.errors import InputError, ModelError
from edgecnn.graph.gate import check_file, check_model, parse
from tests.conftest import TinyNet
from tests.graph.hostile import every_hostile_file, model, node, relu

HOSTILE = every_hostile_file()
MEMORY = 512 << 20  # of the process that looks at all of them, Python and onnx included
_LOOK = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)
from edgecnn.errors import EdgeCNNError
from edgecnn.graph.gate import check_file
for line in sys.stdin:
    name, path = json.loads(line)
    try:
        check_file(path)
        answer = "", ""
    except EdgeCNNError as error:
        answer = type(error).__name__, str(error)
    print(json.dumps([name, *answer]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Show every hostile file to the gate, in one process with little memory."""
    asked = []
    for name, (make, _) in HOSTILE.items():
        folder = tmp_path_factory.mktemp(name)
        asked.append(json.dumps([name, str(make(folder))]))
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(MEMORY)],
        input="\n".join(asked),
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {name: (kind, said) for name, kind, said in rows}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, answers: dict[str, tuple[str, str]]) -> None:
    kind, said = answers[name]
    assert kind == "ModelError", said
    assert re.search(HOSTILE[name][1], said)
    assert said.isprintable()
    assert len(said) < 700


def test_what_is_not_there_is_another_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        check_file(tmp_path / "gone.onnx")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_own_nets_pass(precision: str, tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx(precision))
    assert check_file(path).graph.output[0].name == "logits"


def passes(found: onnx.ModelProto) -> None:
    check_model(parse(found.SerializeToString(), where="net"), where="net")


def test_a_link_to_the_file_itself_is_fine(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(relu().SerializeToString())
    (tmp_path / "net.onnx").symlink_to("blob")
    check_file(tmp_path / "net.onnx")


def test_weights_beside_the_file_pass(tmp_path: Path) -> None:
    weights = np.ones((4, 3), np.float32)
    found = model(node("Conv", "x w", "y"), w=weights.reshape(4, 3, 1, 1))
    tensor = found.graph.initializer[0]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(bytes(8) + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": "sub/w.bin", "offset": "8", "length": "48"}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "net.onnx"
    path.write_bytes(found.SerializeToString())
    assert check_file(path).graph.initializer[0].data_location == TensorProto.EXTERNAL
    with pytest.raises(ModelError, match="in a file of its own, which cannot be here"):
        check_model(found, where="net")


def test_old_files_pass() -> None:
    found = model(node("Conv", "x w", "y"), opset=7, w=np.ones((4, 3, 1, 1), np.float32))
    found.ir_version = 3
    found.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 1, 1]))
    passes(found)


def test_open_sizes_pass_also_as_paddlepaddle_writes_them() -> None:
    for shape in (("N", 3, "H", "W"), (-1, 3, -1, -1), ("N", 3, 8, 8)):
        found = model(node("Relu", "x", "a"), node("GlobalAveragePool", "a", "y"), shape=shape)
        passes(found)


def test_a_net_for_another_batch_passes() -> None:
    reshape = node("Reshape", "x size", "y")
    passes(model(reshape, shape=("N", 3, 8, 8), size=np.array([4, 3, -1, 8, 5])))


QLINEAR = """
<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
net (float[N,3,8,8] x) => (float[N,4] y) {
  q = QuantizeLinear(x, s, z)
  c = QLinearConv<pads=[1,1,1,1]>(q, s, z, w, s, zw, s, z)
  a = com.microsoft.QLinearAdd(c, s, z, c, s, z, s, z)
  r = com.microsoft.QLinearLeakyRelu<alpha=0.1>(a, s, z, s, z)
  k = com.microsoft.QLinearConcat<axis=1>(s, z, r, s, z, r, s, z)
  p = com.microsoft.QLinearGlobalAveragePool(k, s, z, s, z)
  f = Flatten(p)
  g = com.microsoft.QGemm(f, s, z, m, s, zw, b, s, z)
  y = com.microsoft.DequantizeLinear(g, s, z)
}
"""


def test_quantized_files_pass_and_their_shapes_are_known() -> None:
    from edgecnn.graph.walk import full_shape, walk

    found = parser.parse_model(QLINEAR)
    arrays: dict[str, Any] = {"s": np.float32(0.1), "z": np.uint8(3), "zw": np.int8(0)}
    arrays |= {"w": np.ones((4, 3, 3, 3), np.int8), "m": np.ones((8, 4), np.int8)}
    arrays["b"] = np.zeros(4, np.int32)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    found.graph.initializer.extend(weights)
    passes(found)
    types = walk(found).types
    shapes = {name: full_shape(types[name]) for name in "rkgy"}
    assert shapes == {"r": (1, 4, 8, 8), "k": (1, 8, 8, 8), "g": (1, 4), "y": (1, 4)}


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1"])
def test_nets_of_the_onnx_package_pass(name: str) -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    check_file(folder / f"light_{name}.onnx")


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_torchvisions_exports_pass(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = pytest.importorskip("torchvision.models").get_model(name).eval()
    path, axes = tmp_path / "net.onnx", {"x": {0: "N"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old exporter is ten times as fast, and deprecated
        example = (torch.zeros(1, 3, 64, 64),)
        torch.onnx.export(net, example, path, input_names=["x"], dynamic_axes=axes, dynamo=False)
    check_file(path)


@settings(max_examples=150, deadline=None)
@given(
    changes=some.lists(some.tuples(some.integers(0, 1 << 30), some.integers(0, 255)), max_size=6)
)
def test_damage_is_refused_or_harmless(changes: list[tuple[int, int]]) -> None:
    content = bytearray(_damaged_base())
    for place, byte in changes:
        content[place % len(content)] = byte
    with suppress(ModelError):  # and nothing else, neither an error nor a crash
        check_model(parse(bytes(content), where="net"), where="net")


def _damaged_base() -> bytes:
    weights = np.ones((2, 3, 1, 1), np.float32)
    conv = node("Conv", "x w", "a", kernel_shape=[1, 1], pads=[0, 0, 0, 0], group=1)
    rest = [
        node("Shape", "a", "s"),
        node("Gather", "s zero", "g"),
        node("Unsqueeze", "g zero", "u"),
    ]
    rest += [node("Concat", "u m", "d", axis=0), node("Reshape", "a d", "y")]
    found = model(conv, *rest, w=weights, zero=np.array([0]), m=np.array([-1]))
    content: bytes = found.SerializeToString()
    return content
