"""Parity tensor by tensor: the right two tensors, in order, and the error they really have."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.data import Dataset
from edgecnn.predictor import normalise
from edgecnn.quantization.making import make_int8, observe_subject
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.running import run_core
from edgecnn.quantization.schemes import find_scheme
from edgecnn.quantization.tensors import measure_tensors
from tests.conftest import CONTRACT


def test_every_tensor_stands_once_in_order_with_its_layer(
    core: ir.Model, tiny_data: Dataset
) -> None:
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, Plan())
    losses = measure_tensors(subject, make_int8(subject, Plan()), tiny_data.test.images)
    assert [each.tensor for each in losses] == ["rectified", "means", "logits"]
    assert [each.operator for each in losses] == ["Conv", "GlobalAveragePool", "Gemm"]
    assert [each.rounded for each in losses] == [True, True, False]
    assert all(15 < each.sqnr_db < 60 for each in losses)


def test_the_error_is_that_of_the_two_nets(core: ir.Model, tiny_data: Dataset) -> None:
    images = tiny_data.test.images[:64]
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, Plan())
    int8 = make_int8(subject, Plan())
    answers = measure_tensors(subject, int8, tiny_data.test.images)[-1]
    [exact], [found] = (run_core(each, CONTRACT, images).values() for each in (subject.core, int8))
    noise = np.square(found.astype(np.float64) - exact).sum()
    expected = 10 * np.log10(np.square(exact.astype(np.float64)).sum() / noise)
    assert answers.sqnr_db == pytest.approx(expected, abs=1e-3)
    assert answers.max_abs == pytest.approx(np.abs(found - exact).max())
    assert answers.largest == pytest.approx(np.abs(exact).max())


def test_where_activations_have_signs_a_layer_and_its_relu_are_two_tensors(
    core: ir.Model, tiny_data: Dataset
) -> None:
    plan = Plan(scheme=find_scheme("s8s8"))
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, plan)
    losses = measure_tensors(subject, make_int8(subject, plan), tiny_data.test.images)
    assert [each.tensor for each in losses][:2] == ["maps", "rectified"]


def test_what_stays_in_float_is_as_exact_as_what_goes_into_it(
    core: ir.Model, tiny_data: Dataset
) -> None:
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, Plan())
    names = tuple(str(node.name) for node in subject.core.graph)
    nothing = measure_tensors(
        subject, make_int8(subject, Plan(in_float=names)), tiny_data.test.images
    )
    assert {each.rounded for each in nothing} == {False}
    assert {each.sqnr_db for each in nothing} == {math.inf}
    [conv] = [str(node.name) for node in subject.core.graph if node.op_type == "Conv"]
    rest = tuple(name for name in names if name != conv)
    first, *_ = measure_tensors(
        subject, make_int8(subject, Plan(in_float=rest)), tiny_data.test.images
    )
    assert 15 < first.sqnr_db < 60


def test_a_tensor_of_zeros_has_a_ratio(core: ir.Model, tiny_data: Dataset) -> None:
    [conv] = [node for node in core.graph if node.op_type == "Conv"]
    weights = conv.inputs[1]
    assert weights is not None
    assert weights.const_value is not None
    weights.const_value = ir.tensor(np.zeros_like(weights.const_value.numpy()), name=weights.name)
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, Plan())
    losses = measure_tensors(subject, make_int8(subject, Plan()), tiny_data.test.images)
    assert losses[0].largest == 0
    assert losses[0].sqnr_db == math.inf


def test_a_few_images_at_a_time_give_the_same(
    core: ir.Model, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = observe_subject(core, CONTRACT, tiny_data.train.images, Plan())
    int8 = make_int8(subject, Plan())
    at_once = measure_tensors(subject, int8, tiny_data.test.images[:8])
    size = normalise(CONTRACT, tiny_data.test.images[:1]).nbytes
    monkeypatch.setattr("edgecnn.quantization.running._BYTES_AT_ONCE", size)
    for one, other in zip(
        at_once, measure_tensors(subject, int8, tiny_data.test.images[:8]), strict=True
    ):
        assert one == replace(other, sqnr_db=one.sqnr_db)
        assert one.sqnr_db == pytest.approx(other.sqnr_db)
