"""One tensor at a time: which are rounded, with which scales, and what ranks first."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecnn.quantization.making import make_int8
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.schemes import find_scheme
from edgecnn.quantization.sensitivity import rank_effects
from edgecnn.quantization.sensitivity.ranking import error_of
from edgecnn.quantization.sensitivity.tensors import Quantized, find_quantized, with_one
from tests.conftest import CONTRACT
from tests.quantization.sensitivity.conftest import MakeSubject

PLAN = Plan()


def test_every_rounded_tensor_is_found_with_the_layers_that_touch_it(
    make_subject: MakeSubject,
) -> None:
    subject = make_subject()
    found = find_quantized(subject.core, make_int8(subject, PLAN))
    touched = [(each.tensor, each.kind, each.touching) for each in found]
    # Whether the answers are rounded is decided elsewhere.
    assert [each for each in touched if each[0] != "logits"] == [
        ("image", "input", ("conv1",)),
        ("relu1", "activation", ("conv1", "conv2")),
        ("w1", "weights", ("conv1",)),
        ("relu2", "activation", ("conv2", "mean")),
        ("w2", "weights", ("conv2",)),
        # Flatten moves what the pool rounded, and rounds nothing itself.
        ("mean", "activation", ("mean", "flat", "fc")),
        ("w3", "weights", ("fc",)),
    ]


@pytest.mark.parametrize("scheme", ["u8s8-7bit", "u8u8", "s8s8"])
def test_one_tensor_alone_is_rounded_as_in_int8(
    make_subject: MakeSubject, pixels: NDArray[np.uint8], scheme: str
) -> None:
    subject = make_subject()
    plan = Plan(scheme=find_scheme(scheme))
    found = {each.tensor: each for each in find_quantized(subject.core, make_int8(subject, plan))}

    mean, core = found["mean"], ending_at(subject.core, "mean")
    alone = run_core(with_one(core, mean), CONTRACT, pixels)
    assert list(alone) == ["mean"]
    expected = rounded(run_core(core, CONTRACT, pixels)["mean"], mean)
    np.testing.assert_allclose(alone["mean"], expected, atol=1e-5)

    weights = found["w3"]
    assert weights.weights is not None
    given = subject.core.graph.initializers["w3"].const_value
    assert given is not None
    own = given.numpy()
    step = weights.scale.reshape(-1, 1)
    assert np.abs(weights.weights - own).max(initial=0) > 0
    assert (np.abs(weights.weights - own) <= step / 2 * 1.001).all()
    core = with_one(subject.core, weights)
    fc = next(node for node in core.graph if node.name == "fc")
    assert fc.inputs[1] is not None
    assert fc.inputs[1].const_value is not None
    np.testing.assert_array_equal(fc.inputs[1].const_value.numpy(), weights.weights)


def test_rounding_every_tensor_alone_adds_up_to_int8(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    ranking = rank_effects(make_subject(), PLAN, pixels[32:], classes=True)
    errors = [each.error.estimate for each in ranking.effects]
    assert errors == sorted(errors, reverse=True)
    assert sum(each.share for each in ranking.effects) == pytest.approx(1)
    whole = ranking.whole_error.estimate
    assert whole / 2 < float(np.sqrt(np.square(errors).sum())) < 2 * whole
    assert ranking.whole.margin_error == whole


def test_the_huge_channel_ranks_first(make_subject: MakeSubject, pixels: NDArray[np.uint8]) -> None:
    calm = rank_effects(make_subject(), PLAN, pixels[32:], classes=True)
    ranking = rank_effects(make_subject(500.0), PLAN, pixels[32:], classes=True)
    first, second = ranking.effects[:2]
    assert (first.tensor, first.layer, first.in_float) == ("relu1", "conv1", ("conv1", "conv2"))
    assert first.share > 0.9
    assert first.error.low > second.error.high
    assert first.flips is not None
    assert first.flips.low > 0
    assert calm.effects[0].error.estimate < first.error.estimate / 5


def test_outputs_that_are_no_classes_are_ranked_by_noise(
    make_subject: MakeSubject, pixels: NDArray[np.uint8]
) -> None:
    ranking = rank_effects(make_subject(20.0), PLAN, pixels[32:], classes=False)
    first = ranking.effects[0]
    assert first.tensor == "relu1"
    assert first.distance.sqnr_db > 0
    assert first.flips is None
    assert first.distance.margin_error is None
    assert first.error.estimate == pytest.approx(10 ** (-first.distance.sqnr_db / 20))


def test_the_interval_is_as_wide_as_blocks_differ() -> None:
    random = np.random.default_rng(0)
    reference = {"y": random.normal(size=(4096, 10)).astype(np.float32)}
    noise = random.normal(scale=0.1, size=(4096, 10)).astype(np.float32)
    whole = error_of(reference, {"y": reference["y"] + noise}, classes=True)
    part = {"y": reference["y"][:128]}
    few = error_of(part, {"y": part["y"] + noise[:128]}, classes=True)
    assert few.low < whole.estimate < few.high
    assert whole.high - whole.low < (few.high - few.low) / 2
    same = error_of(reference, reference, classes=True)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


def ending_at(core: ir.Model, name: str) -> ir.Model:
    """Give a core that answers with another tensor."""
    model = core.clone()
    model.graph.outputs[:] = [
        value for node in model.graph for value in node.outputs if value.name == name
    ]
    return model


def rounded(values: NDArray[np.float32], how: Quantized) -> NDArray[np.float32]:
    """Round values as QuantizeLinear does."""
    limits = np.iinfo(how.zero_point.dtype)
    numbers = np.clip(np.rint(values / how.scale) + int(how.zero_point), limits.min, limits.max)
    result: NDArray[np.float32] = ((numbers - int(how.zero_point)) * how.scale).astype(np.float32)
    return result
