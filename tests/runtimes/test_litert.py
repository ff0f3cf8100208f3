"""LiteRT, on a file that was made of the tests' net (`tiny.tflite`, by litert-torch 0.10.0)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError, ModelError, UnavailableError
from edgecnn.runtime import TensorSpec, load_runtime, open_session
from edgecnn.spec import Variant
from tests.conftest import CLASSES, SIZE, TinyNet

VARIANT = Variant("tiny", "fp32", "tflite", (str(Path(__file__).parent / "tiny.tflite"),), batch=1)
ADAPTER: Any = load_runtime("litert")
needs_engine = pytest.mark.skipif(
    not ADAPTER.availability("cpu").ok, reason="LiteRT is not installed: edgecnn[litert]"
)


@needs_engine
@pytest.mark.parametrize("threads", [1, 2])
def test_it_answers_as_the_net(tiny_net: TinyNet, threads: int) -> None:
    with open_session(VARIANT, runtime="litert", threads=threads) as session:
        assert session.threads == threads
        assert session.inputs == (TensorSpec("pixels", "uint8", (1, SIZE, SIZE, 3)),)
        assert session.outputs == (TensorSpec("logits", "float32", (1, len(CLASSES))),)
        runs = [session.run({"pixels": tiny_net.images[i : i + 1]}) for i in range(9)]
    found = np.concatenate([run["logits"] for run in runs])
    assert found.dtype == np.float32
    exact = tiny_net.exact(tiny_net.images[:9])
    assert np.abs(found - exact).max() <= 1e-5 * np.abs(exact).max()


@needs_engine
def test_one_image_at_a_time(tiny_net: TinyNet) -> None:
    with (
        open_session(VARIANT, runtime="litert") as session,
        pytest.raises(InputError, match="shape"),
    ):
        session.run({"pixels": tiny_net.images[:2]})


@needs_engine
def test_a_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(VARIANT.path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cut\.tflite") as refusal:
        open_session(Variant("cut", "fp32", "tflite", (str(path),)), runtime="litert")
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(find_spec("litert_torch") is not None, reason="litert-torch is installed")
def test_without_the_converter(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="litert-torch") as refusal:
        ADAPTER.convert(VARIANT, tmp_path, name="litert", options={}, net=None)
    assert "pip install litert-torch" in refusal.value.remedy


@pytest.mark.skipif(ADAPTER.availability("cpu").ok, reason="LiteRT is installed")
def test_without_the_engine() -> None:
    with pytest.raises(UnavailableError, match="ai-edge-litert is not installed") as refusal:
        open_session(VARIANT, runtime="litert")
    assert "edgecnn[litert]" in refusal.value.remedy
