"""Whole nets as C: the answers of ONNX Runtime, in int8 to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.codegen.compiled import FLAGS, compile_net, run_ort
from tests.conftest import TinyNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
KINDS = {"plain C": (), "this CPU": ("-O3", "-march=native")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tiny_net_answers_as_in_onnx_runtime(
    tiny_net: TinyNet, kind: str, tmp_path: Path
) -> None:
    model = onnx.load_model_from_string(tiny_net.onnx(preprocessing=False))
    net = compile_net(model, tmp_path, (*FLAGS, *KINDS[kind]))
    for image in np.random.default_rng(1).normal(size=(20, 3, 8, 8)).astype(np.float32):
        expected = run_ort(model, {"image": image[None]})["logits"]
        np.testing.assert_allclose(net.run(image)["logits"], expected, rtol=1e-4, atol=1e-5)
