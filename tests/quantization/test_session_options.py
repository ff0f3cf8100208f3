"""Accuracy is measured with the options that are deployed: unoptimised, answers differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecnn.bundle import open_bundle
from edgecnn.data import Dataset
from edgecnn.golden import golden
from edgecnn.predictor import load
from edgecnn.quantization import quantize
from edgecnn.quantization.measuring import Job, answer
from edgecnn.quantization.options import check_wishes
from edgecnn.quantization.running import open_core
from tests.quantization.conftest import MakeFp32


def pool_in_parts(model: ir.Model) -> None:
    """Let the mean be taken in windows of 5x5, which leaves a map of 2x2, and the mean of that."""
    for node in list(model.graph):
        if node.op_type == "AveragePool":
            node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", [5, 5])
            first = node.outputs[0]
            again = ir.node("AveragePool", [first], {"kernel_shape": [2, 2]}, name="again")
            for use in list(first.uses()):
                if use.node is not again:
                    use.node.replace_input_with(use.idx, again.outputs[0])
            again.outputs[0].name = "mean"
            model.graph.insert_after(node, again)


def unoptimised(path: Path, pixels: NDArray[np.uint8]) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


@pytest.fixture
def job(make_fp32: MakeFp32, tiny_data: Dataset) -> Job:
    bundle = make_fp32(change=pool_in_parts)
    quantize(bundle, data=tiny_data, calibration="minmax", duration=0.05, threads=1)
    after = open_bundle(bundle.folder)
    ignore = lambda what, share: None  # noqa: E731
    return Job(
        after, after.locate("int8"), tiny_data, golden(after), check_wishes(), 1, 0.05, ignore
    )


def test_what_is_scored_is_what_a_session_answers(job: Job) -> None:
    images = golden(job.bundle).images
    measured = answer(job, job.source, 0).golden_outputs["logits"]
    with load(job.bundle, variant="int8", threads=1) as predictor:
        np.testing.assert_array_equal(measured, predictor.run(images))
    core = open_core(job.source.path.read_bytes())
    np.testing.assert_array_equal(measured, core.run(None, {"pixels": images})[0])
    assert (measured != unoptimised(job.source.path, images)).any()


def test_other_threads_give_the_same_bits(job: Job) -> None:
    one, two = (answer(replace(job, threads=count), job.source, 0) for count in (1, 2))
    np.testing.assert_array_equal(one.golden_outputs["logits"], two.golden_outputs["logits"])
