"""`edgecnn export --format torch`: a variant of the net itself, which needs its code no longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.agreement import parity
from edgecnn.bundle import Bundle
from edgecnn.converting import convert
from edgecnn.errors import InputError, ModelError

pytest.importorskip("torch")


def test_it_agrees_with_the_golden_outputs_without_the_code(exported: Bundle) -> None:
    report = convert(exported, "torch")
    model = exported.manifest.model
    assert model is not None
    # The fixture's copies share one source: it is put back, under the name that the manifest has.
    source = Path(model.source.rpartition(":")[0])
    code = source.read_bytes()
    source.unlink()
    try:
        found = parity(exported.folder, variants=[report.variant], runtime="torch")
    finally:
        source.write_bytes(code)
    assert found.verdict.outcome == "pass"
    assert {each.runtime for each in found.comparisons} == {"torch"}


def test_it_is_made_of_fp32_alone(exported: Bundle) -> None:
    from edgecnn.exporting import export

    export(exported, preprocessing=False)
    with pytest.raises(InputError, match="fp32-nchw"):
        convert(exported, "torch", source="fp32-nchw")


def test_a_bundle_made_from_an_onnx_file_has_no_net(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    with pytest.raises(ModelError, match="no PyTorch model") as refusal:
        convert(bundle, "torch")
    assert "\n" not in str(refusal.value)
    assert not (bundle.folder / "torch-fp32.torch.safetensors").exists()
