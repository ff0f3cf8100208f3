"""Operators, parameters, MACs, memory and quantization, against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from edgecnn import shelves
from edgecnn.errors import ModelError
from edgecnn.graph.summary import GraphSummary, summarise

FLOAT = np.float32


def model(text: str, opset: str = '"" : 18', **arrays: Any) -> onnx.ModelProto:
    head = f"<ir_version: 8, opset_import: [{opset}]>"
    found = parser.parse_model(head + text)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    found.graph.initializer.extend(weights)
    return found


def summary(text: str, **arrays: Any) -> GraphSummary:
    return summarise(model(text, **arrays).SerializeToString(), where="net.onnx")


def zeros(*shape: int, dtype: Any = FLOAT) -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


LENET = """
lenet (float[batch,3,32,32] image) => (float[batch,10] logits) {
  a = Conv(image, w1, b1)
  b = Relu(a)
  c = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)
  d = Conv(c, w2, b2)
  e = Relu(d)
  f = MaxPool<kernel_shape=[2,2], strides=[2,2]>(e)
  g = Reshape(f, size)
  h = Gemm<transB=1>(g, w3, b3)
  i = Relu(h)
  j = Gemm<transB=1>(i, w4, b4)
  k = Relu(j)
  logits = Gemm<transB=1>(k, w5, b5)
}
"""


@pytest.fixture
def lenet() -> GraphSummary:
    shapes = ((6, 3, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84))
    weights = {f"w{n}": zeros(*shape) for n, shape in enumerate(shapes, 1)}
    biases = {f"b{n}": zeros(shape[0]) for n, shape in enumerate(shapes, 1)}
    return summary(LENET, **weights, **biases, size=np.array([0, -1]))


def test_lenet_by_hand(lenet: GraphSummary) -> None:
    assert lenet.parameters == 62_006
    assert lenet.parameter_bytes == 4 * 62_006
    macs = {layer.name: layer.macs for layer in lenet.layers if layer.macs}
    assert macs == {"a": 352_800, "d": 240_000, "h": 48_000, "j": 10_080, "logits": 840}
    assert lenet.macs == 651_720
    memory = [layer.memory_bytes for layer in lenet.layers]
    # Input and first convolution's output; ReLU writes over it; then pooling reads and writes.
    assert memory[:3] == [4 * (3_072 + 4_704), 4 * 4_704, 4 * (4_704 + 1_176)]
    assert lenet.peak_memory_bytes == 31_104
    assert lenet.peak_layer == "a"
    assert [str(spec) for spec in lenet.inputs] == ["image: float32 [batch, 3, 32, 32]"]
    assert [str(spec) for spec in lenet.outputs] == ["logits: float32 [batch, 10]"]
    assert list(lenet.operators.items())[:2] == [("Relu", 4), ("Gemm", 3)]
    assert (lenet.opsets, lenet.ir_version, lenet.batch, lenet.notes) == ({"onnx": 18}, 8, 1, ())
    assert [layer.quantized for layer in lenet.layers if layer.macs] == [False] * 5
    assert lenet.weights == ()


def test_a_residual_keeps_its_shortcut_alive() -> None:
    found = summary(
        """
        block (float[N,16,32,32] x) => (float[N,16,32,32] y) {
          a = Conv<pads=[1,1,1,1]>(x, w)
          b = Relu(a)
          c = Conv<pads=[1,1,1,1]>(b, w)
          d = Add(c, x)
          y = Relu(d)
        }
        """,
        w=zeros(16, 16, 3, 3),
    )
    one = 4 * 16 * 32 * 32
    memory = [layer.memory_bytes for layer in found.layers]
    assert memory == [2 * one, 2 * one, 3 * one, 3 * one, one]
    assert found.parameters == 2_304  # shared weights count once
    assert [layer.parameters for layer in found.layers] == [2_304, 0, 0, 0, 0]


def test_nothing_is_written_over_that_is_still_read_or_not_ours() -> None:
    found = summary(
        """
        net (float[N,5] x) => (float[N,5] y) {
          a = Relu(x)
          b = Sigmoid(a)
          c = Reshape(a, size)
          d = Tanh(b)
          y = Add(c, d)
        }
        """,
        size=np.array([0, 5]),
    )
    # a is read again by Reshape, and its view by Add; d may write over b; x is the caller's.
    assert [layer.memory_bytes for layer in found.layers] == [40, 40, 40, 40, 60]


@pytest.mark.parametrize(
    ("node", "shape", "weights", "macs"),
    [
        ("Conv<group=6>(x, w)", "1,6,10,10", (6, 1, 3, 3), 6 * 8 * 8 * 9),
        ("Conv<strides=[2,2], dilations=[2,2]>(x, w)", "1,3,9,9", (5, 3, 3, 3), 5 * 9 * 27),
        ("Conv(x, w)", "1,3,12", (4, 3, 5), 4 * 8 * 15),
        ("ConvTranspose<strides=[2,2]>(x, w)", "1,3,4,4", (3, 5, 2, 2), 3 * 16 * 5 * 4),
        ("Gemm<transA=1>(x, w)", "7,2", (7, 3), 2 * 3 * 7),
        ("MatMul(x, w)", "1,5,7", (7, 3), 5 * 3 * 7),
    ],
)
def test_multiplying_operators(node: str, shape: str, weights: tuple[int, ...], macs: int) -> None:
    found = summary(f"net (float[{shape}] x) => (float[] y) {{ y = {node} }}", w=zeros(*weights))
    assert found.macs == macs
    assert found.parameters == np.prod(weights)


QDQ = """
net (uint8[N,4,4,3] pixels) => (float[N,2] y) {
  image = Transpose<perm=[0,3,1,2]>(pixels)
  float = Cast<to=1>(image)
  q = QuantizeLinear(float, s, z)
  dq = DequantizeLinear(q, s, z)
  wdq = DequantizeLinear<axis=0>(w, ws, wz)
  bdq = DequantizeLinear(b, bs)
  a = Conv<pads=[1,1,1,1]>(dq, wdq, bdq)
  r = Relu(a)
  rq = QuantizeLinear(r, s, z)
  rdq = DequantizeLinear(rq, s, z)
  p = GlobalAveragePool(rdq)
  f = Flatten(p)
  y = Gemm<transB=1>(f, m)
}
"""


def test_what_is_quantized_and_what_is_not() -> None:
    found = summary(
        QDQ,
        s=FLOAT(0.1),
        z=np.uint8(3),
        w=zeros(8, 3, 3, 3, dtype=np.int8),
        ws=np.ones(8, FLOAT),
        wz=zeros(8, dtype=np.int8),
        b=zeros(8, dtype=np.int32),
        bs=FLOAT(1),
        m=zeros(2, 8),
    )
    assert {layer.name: layer.quantized for layer in found.layers if layer.macs} == {
        "a": True,
        "y": False,
    }
    assert (found.activations, found.weights) == (("uint8",), ("int8 per channel",))
    # Scales and zero points are no parameters; the bias is int32.
    assert found.parameters == 8 * 27 + 8 + 16
    assert found.parameter_bytes == 8 * 27 + 4 * 8 + 4 * 16
    assert found.macs == 8 * 16 * 27 + 16
    # int8 in and int8 out of the convolution: its ReLU and QuantizeLinear are fused into it.
    memory = {layer.name: layer.memory_bytes for layer in found.layers}
    assert memory["a"] == 48 + 128
    assert memory["p"] == 128 + 4 * 8


def test_integer_operators_are_quantized() -> None:
    found = summary(
        """
        net (uint8[N,4] x) => (int32[N,2] y) { y = MatMulInteger(x, w) }
        """,
        w=zeros(4, 2, dtype=np.int8),
    )
    assert found.layers[0].quantized
    assert (found.macs, found.parameters) == (8, 8)
    assert (found.activations, found.weights) == (("uint8",), ("int8",))


def test_preprocessing_and_settings_are_no_parameters() -> None:
    found = model(
        """
        net (float[N,3] x) => (float[N,3] y) {
          a = Mul(x, mean)
          b = Clip(a, low, high)
          c = Mul(b, two)
          y = BatchNormalization(c, v, v2, v3, v4)
        }
        """,
        mean=zeros(3),
        low=FLOAT(0),
        high=FLOAT(6),
        two=FLOAT(2),
        v=zeros(3),
        v2=zeros(3),
        v3=zeros(3),
        v4=zeros(3),
    )
    found.graph.node[0].name = "edgecnn/2_mul"
    assert summarise(found.SerializeToString(), where="x").parameters == 6


def test_weights_in_constant_nodes_count() -> None:
    weights = numpy_helper.from_array(zeros(4, 3), "w")
    found = model("net (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }", w=zeros(4, 3))
    found.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=weights))
    del found.graph.initializer[:]
    got = summarise(found.SerializeToString(), where="x")
    assert (got.parameters, got.macs, len(got.layers)) == (12, 12, 1)


def test_a_fixed_batch_is_counted_as_it_is() -> None:
    text = "net (float[8,4] x) => (float[8,3] y) { y = MatMul(x, w) }"
    found = summary(text, w=zeros(4, 3))
    assert (found.batch, found.macs) == (8, 96)


def test_what_cannot_be_counted_is_said() -> None:
    found = summary(
        "net (float[N,3,height,9] x) => (float[] y) { y = Conv(x, w) }", w=zeros(4, 3, 3, 3)
    )
    assert (found.macs, found.peak_memory_bytes, found.peak_layer) == (None, None, "")
    assert any("x: float32 [N, 3, height, 9] has open axes" in note for note in found.notes)
    assert any("MACs of Conv could not be counted" in note for note in found.notes)
    foreign = model(
        "net (float[N,3] x) => (float[N,3] y) { y = com.acme.Magic(x) }",
        opset='"" : 18, "com.acme" : 1',
    )
    found = summarise(foreign.SerializeToString(), where="x")
    assert found.operators == {"com.acme:Magic": 1}
    assert found.macs is None


def test_shapes_that_were_written_for_another_batch_do_not_mislead() -> None:
    text = "net (float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) y = Relu(a) }"
    found = model(text, w=zeros(4, 3))
    found.graph.value_info.append(helper.make_tensor_value_info("a", 1, [16, 3]))
    got = summarise(found.SerializeToString(), where="x")
    assert (got.macs, got.layers[0].shape) == (12, (1, 3))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"not a model", b"{}", b"\x89PNG\r\n\x1a\n"], ids=repr
)
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"x\.onnx is no ONNX file"):
        summarise(content, where="x.onnx")


def test_a_truncated_file_is_refused() -> None:
    text = "net (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }"
    content = model(text, w=zeros(4, 3)).SerializeToString()
    with pytest.raises(ModelError):
        summarise(content[:-20], where="x.onnx")


def test_nodes_out_of_order_are_refused() -> None:
    found = model("net (float[N,4] x) => (float[N,4] y) { a = Relu(x) y = Relu(a) }")
    found.graph.node.reverse()
    with pytest.raises(ModelError, match="'a' is read before it is made"):
        summarise(found.SerializeToString(), where="x.onnx")


def test_contradictions_are_noted_not_hidden() -> None:
    found = summary("net (float[1,4] x) => (float[1,3] y) { y = MatMul(x, w) }", w=zeros(5, 3))
    assert found.macs is None
    assert "Shapes could not be inferred" in found.notes[0]
    assert "contradicts itself at 'y' (MatMul)" in found.notes[0]
    lost = model("net (float[1,4] x) => (float[1,4] y) { y = com.acme.Magic(x) }")
    found = summarise(lost.SerializeToString(), where="x")
    assert "The MACs of com.acme:Magic could not be counted." in found.notes


@pytest.mark.parametrize(("name", "macs"), [("lenet", 651_720), ("resnet8", 12_501_632)])
def test_the_shelfs_nets_against_torchs_own_counter(name: str, macs: int) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    net = shelves.load_file(shelves.model_folder(name) / "model.py").Net().eval()
    norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.bias.data.uniform_()  # equal ones would be written once, and zeros not at all
    image = torch.zeros(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image)
    program = torch.onnx.export(net, (image,), dynamo=True, external_data=False, verbose=False)
    found = summarise(program.model_proto.SerializeToString(), where=name)
    # MLPerf Tiny publishes 12.5 million for resnet8.
    assert found.macs == counter.get_total_flops() // 2 == macs
    learned = sum(parameter.numel() for parameter in net.parameters())
    # Batch norm's scale and shift are folded into a bias: one number less for each channel.
    assert found.parameters == learned - sum(norm.num_features for norm in norms)
    assert found.peak_memory_bytes == {"lenet": 31_104, "resnet8": 3 * 65_536}[name]
