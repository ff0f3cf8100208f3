"""Quantization-aware training: what is trained is what the file computes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.bundle import Bundle, open_bundle
from edgecnn.data import Dataset, Split
from edgecnn.errors import EdgeCNNError
from edgecnn.graph import clean, prefix
from edgecnn.quantization.making import make_int8, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.safety import LARGEST_INT16, as_it_runs, largest_pair_sums
from edgecnn.quantization.schemes import SCHEMES
from edgecnn.recipe import TrainingPlan
from tests.conftest import CLASSES, CONTRACT, MakeBundle, TinyNet, TypeCommand
from tests.quantization.conftest import exported_core

torch = pytest.importorskip("torch")
adding = pytest.importorskip("edgecnn.training.qat.adding")
augment = pytest.importorskip("edgecnn.training.augment")
loop = pytest.importorskip("edgecnn.training.loop")
rounding = pytest.importorskip("edgecnn.training.qat.rounding")
running = pytest.importorskip("edgecnn.training.qat.run")
training = pytest.importorskip("edgecnn.training.run")
tuning = pytest.importorskip("edgecnn.training.qat.tuning")
writing = pytest.importorskip("edgecnn.training.qat.writing")
CPU = torch.device("cpu")
PLAN = TrainingPlan(epochs=2, batch_size=20, optimizer="adamw", learning_rate=3e-3)


def images_of(count: int, seed: int = 3) -> Split:
    """Draw images whose class is which of four colours they have."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    colours = np.array([[150, 90, 90], [90, 150, 90], [90, 90, 150], [120, 120, 60]])
    noise = random.normal(0, 40, (count, *CONTRACT.pixel_shape))
    images = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return Split(images, labels)


def depthwise_core() -> ir.Model:
    """Make an inverted residual block between a convolution and a fully connected layer."""
    random = np.random.default_rng(5)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (8, 8, 1, 1), "w4": (4, 8)}
    tensors = {name: random.normal(0, 0.4, shape) for name, shape in shapes.items()}
    tensors |= {f"b{n}": random.normal(0, 0.2, size) for n, size in enumerate((8, 8, 8, 4), 1)}
    tensors |= {"low": np.array(0), "high": np.array(6)}
    make = helper.make_node
    nodes = [
        make("Conv", ["image", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        make("Clip", ["c1", "low", "high"], ["r1"]),
        make("Conv", ["r1", "w2", "b2"], ["c2"], group=8, pads=[1, 1, 1, 1]),
        make("Clip", ["c2", "low", "high"], ["r2"]),
        make("Conv", ["r2", "w3", "b3"], ["c3"]),
        make("Add", ["c3", "r1"], ["sum"]),
        make("AveragePool", ["sum"], ["p"], kernel_shape=[8, 8]),
        make("Flatten", ["p"], ["f"]),
        make("Gemm", ["f", "w4", "b4"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(each.astype("f4"), name) for name, each in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return clean.from_bytes(proto.SerializeToString(), where="the net")


def start(plan: Plan | None = None, coarser: float = 1.0) -> Any:
    """Quantize the net; `coarser` multiplies the steps of its activations, and so of biases."""
    how = plan or Plan()
    subject = observe_subject(depthwise_core(), CONTRACT, images_of(32).images, how)
    quantized = make_int8(subject, how)
    for name, value in quantized.graph.initializers.items():
        array = value.const_value.numpy() if value.const_value else np.zeros(0)
        if str(name).endswith("_scale") and (not array.ndim or "_quantized" in str(name)):
            value.const_value = ir.Tensor(np.array(array * coarser, "f4"), name=name)
    return tuning.Start(quantized, subject.core, CONTRACT, how.scheme.bounded)


def tuned(begun: Any, plan: TrainingPlan = PLAN) -> Any:
    train, holdout = (training.pictures(images_of(n, seed), CPU) for n, seed in ((160, 1), (80, 2)))
    return tuning.tune(begun, train, holdout, plan, CPU, lambda event: None)


def answers(core: ir.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return next(iter(run_core(core, CONTRACT, images).values()))


def test_gradients_are_those_of_learned_step_sizes() -> None:
    x = torch.tensor([0.3, 5.0, -1.0, 1.9], requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)
    zero = torch.tensor(0, dtype=torch.int32)
    rounded = rounding.round_activations(x, scale, zero, 0, 3)
    assert rounded.tolist() == [0, 3, 0, 2]
    torch.autograd.backward(rounded.sum())
    assert x.grad is not None
    assert x.grad.tolist() == [1, 0, 0, 1]
    # Rounding errors of 0.3 and 1.9 in steps, and the two ends that values were cut off at.
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx((0 - 0.3) + 3 + 0 + (2 - 1.9), abs=1e-6)


def test_weights_have_the_same_gradients_channel_by_channel() -> None:
    weights = torch.tensor([[0.3, 5.0], [-9.0, 1.9]], requires_grad=True)
    scale = torch.tensor([[1.0], [2.0]], requires_grad=True)
    zero = torch.tensor([[0], [0]], dtype=torch.int32)
    rounded = rounding.round_weights(weights, scale, zero, -3, 3)
    assert rounded.tolist() == [[0, 3], [-6, 2]]
    torch.autograd.backward(rounded.sum())
    assert weights.grad is not None
    assert weights.grad.tolist() == [[1, 0], [0, 1]]
    assert scale.grad is not None
    assert scale.grad.flatten().tolist() == pytest.approx([-0.3 + 3, -3 + (1 - 0.95)], abs=1e-6)


@pytest.mark.parametrize("scheme", ["u8s8-7bit", "u8u8", "s8s8"])
def test_the_file_answers_as_the_net_that_was_trained(scheme: str) -> None:
    begun = start(Plan(scheme=SCHEMES[scheme]))
    net, cores = tuning.make_net(begun), list[ir.Model]()
    train, holdout = (training.pictures(images_of(80, seed), CPU) for seed in (1, 2))
    loop.fit(
        loop.begin(net, PLAN, CPU),
        train,
        holdout,
        CONTRACT,
        PLAN,
        tell=lambda event: None,
        keep=lambda run: None,
        settle=lambda _: cores.append(writing.write_even(net, begun.quantized)),
    )
    images = images_of(400, 9).images
    with torch.no_grad():
        normalise = augment.Normaliser(CONTRACT, CPU, channels_last=False)
        wanted = net(normalise(torch.from_numpy(images))).numpy()
    found = answers(cores[-1], images)
    size = np.ptp(wanted)
    errors = np.abs(found - wanted).max(axis=1) / size
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.99
    # Now and then a sum lies at a half and is rounded the other way: one step of 255.
    assert errors.max() < 1 / 100
    assert np.median(errors) < 1e-4
    assert np.abs(answers(begun.quantized, images) - wanted).max() / size > 1 / 100


def test_training_makes_up_for_coarse_steps() -> None:
    found = tuned(start(coarser=12), replace(PLAN, epochs=6, learning_rate=0.02))
    assert found.curve[-1].holdout_accuracy is not None
    assert found.curve[-1].holdout_accuracy > found.before + 0.1
    held = images_of(80, 2)
    right = float((answers(found.core, held.images).argmax(axis=1) == held.labels).mean())
    assert right == pytest.approx(found.curve[found.chosen - 1].holdout_accuracy, abs=0.02)


def test_every_cpu_still_answers_alike() -> None:
    core = tuned(start(), replace(PLAN, learning_rate=0.03)).core
    assert max(largest_pair_sums(core).values()) <= LARGEST_INT16
    assert as_it_runs(clean.to_bytes(core)).same_everywhere
    # Depthwise weights never meet in a sum of 16 bits and keep their 8 bits.
    weights = core.graph.initializers["w2_quantized"].const_value
    assert weights is not None
    assert np.abs(weights.numpy().astype(int)).max() > 64


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    one, same, other = (
        clean.to_bytes(tuned(start(), replace(PLAN, epochs=1, seed=seed)).core)
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_the_epoch_that_is_best_on_the_holdout_is_kept() -> None:
    # At this rate an epoch unlearns what the one before it has learned.
    plan = replace(PLAN, learning_rate=0.6, schedule="constant", epochs=4)
    found = tuned(start(), plan)
    held = [point.holdout_accuracy or 0.0 for point in found.curve]
    assert held[found.chosen - 1] == max(held)
    assert max(held) > min(held)


@pytest.fixture
def tiny_fp32(make_bundle: MakeBundle, tiny_net: TinyNet) -> Bundle:
    """Give the tiny net as a bundle with an fp32 variant."""
    model = prefix.put_preprocessing_in_front(exported_core(tiny_net), CONTRACT)
    return make_bundle(variants=("fp32",), files={"fp32": clean.to_bytes(model)})


@pytest.fixture
def tiny_data(tiny_net: TinyNet) -> Dataset:
    """Give the tiny net's 200 images: 120 to train on, 80 to test with."""
    images, labels = tiny_net.images, tiny_net.labels
    train, test = Split(images[:120], labels[:120]), Split(images[120:], labels[120:])
    return Dataset("tiny", "/nowhere/tiny.npz", CLASSES, train, test)


def test_nothing_is_written_and_no_test_image_is_read(
    tiny_fp32: Bundle, tiny_data: Dataset
) -> None:
    before = {path: path.read_bytes() for path in tiny_fp32.folder.rglob("*") if path.is_file()}
    notes: list[Any] = []
    hidden = replace(tiny_data, test=Split(tiny_data.test.images[:0], tiny_data.test.labels[:0]))
    found = running.qat(tiny_fp32, data=hidden, epochs=1, threads=1, tell=notes.append)
    assert {path: path.read_bytes() for path in before} == before
    assert found.report.training_images + found.report.holdout_images == len(tiny_data.train)
    assert found.report.chosen == 1
    assert "does not say how it was trained" in str(notes)


@pytest.mark.parametrize(
    ("changes", "variants", "words"),
    [
        ({}, ("int8",), "no variant 'fp32'"),
        ({"fp32": {"precision": "int8"}}, ("fp32",), "begins with fp32 ONNX"),
    ],
)
def test_a_bundle_without_fp32_is_refused(
    make_bundle: MakeBundle,
    tiny_data: Dataset,
    changes: dict[str, dict[str, Any]],
    variants: tuple[str, ...],
    words: str,
) -> None:
    bundle = make_bundle(variants=variants, changes=changes)
    with pytest.raises(EdgeCNNError, match=words):
        running.qat(bundle, data=tiny_data, epochs=1)


def test_outputs_that_are_no_logits_are_refused(
    make_bundle: MakeBundle, tiny_data: Dataset
) -> None:
    contract = replace(CONTRACT, output_kind="probabilities")
    content = clean.to_bytes(prefix.put_preprocessing_in_front(depthwise_core(), contract))
    bundle = make_bundle(variants=("fp32",), contract=contract, files={"fp32": content})
    with pytest.raises(EdgeCNNError, match="not the logits of classes"):
        running.qat(bundle, data=tiny_data, epochs=1)


def test_a_fixed_batch_is_refused(
    make_bundle: MakeBundle, tiny_net: TinyNet, tiny_data: Dataset
) -> None:
    content = clean.to_bytes(exported_core(tiny_net, batch=1))
    changes = {"fp32": {"preprocessing": False, "batch": 1}}
    bundle = make_bundle(variants=("fp32",), files={"fp32": content}, changes=changes)
    with pytest.raises(EdgeCNNError, match="needs an open batch"):
        running.qat(bundle, data=tiny_data, epochs=1)


def test_the_command_adds_a_measured_variant_and_keeps_the_rest(
    tiny_fp32: Bundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "LATENCY_SECONDS", 0.05)
    folder = tiny_fp32.folder
    done = type_command("train", "--qat", folder, "--epochs", 1, "--threads", 1, "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["kind"] == "quantize"
    assert report["body"]["int8"]["variant"] == "int8-qat"
    assert report["body"]["paired"]["first"] == "fp32"
    found = open_bundle(folder)
    added = found.locate("int8-qat")
    assert added.precision == "int8"
    assert added.parent is not None
    assert added.parent.file == "fp32.onnx"
    assert "epoch 1 of 1 on 72 images" in added.settings["training"]
    assert found.files["fp32.onnx"] == tiny_fp32.files["fp32.onnx"]


def test_the_command_refuses_what_a_bundle_settles(
    tiny_fp32: Bundle, type_command: TypeCommand
) -> None:
    done = type_command("train", "--qat", tiny_fp32.folder, "--input-size", "16x16")
    assert done.code == 2
    assert "--input-size and --qat cannot be had together" in done.err
    assert [each.name for each in open_bundle(tiny_fp32.folder).manifest.variants] == ["fp32"]


def test_training_that_made_it_worse_says_so(tiny_fp32: Bundle, tiny_data: Dataset) -> None:
    for rate, worse in ((3.0, True), (1e-6, False)):
        notes: list[Any] = []
        running.qat(
            tiny_fp32, data=tiny_data, epochs=1, learning_rate=rate, threads=1, tell=notes.append
        )
        assert ("use a lower --learning-rate" in str(notes[-1])) == worse
