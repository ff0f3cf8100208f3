"""From torch to ONNX: operator sets, names, bytes, silence."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from edgecnn.errors import ModelError
from edgecnn.exporting.core import OPSETS, export_core
from edgecnn.graph import clean
from edgecnn.records import sha256
from edgecnn.spec import InputContract
from tests.exporting.conftest import CONTRACT, MakeNet


class Residual(nn.Module):
    """What the shelf's nets are made of: batch normalisation, a shortcut, a mean, a split."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.conv1(x)))
        x = torch.relu(self.conv2(x) + x)
        one, two = nn.functional.pad(x, (1, 1, 0, 0)).chunk(2, dim=1)
        logits: torch.Tensor = self.fc(torch.cat((two, one), 1).mean((2, 3)))
        return logits


def residual() -> nn.Module:
    torch.manual_seed(1)
    return Residual().eval()


def export(
    net: nn.Module, contract: InputContract = CONTRACT, opset: int = 18, batch: int | None = None
) -> onnx.ModelProto:
    model = export_core(net, contract, opset_version=opset, batch_size=batch)
    return onnx.load_model_from_string(clean.to_bytes(model))


@pytest.mark.parametrize("opset", OPSETS)
def test_each_opset_is_what_was_asked_and_computes_what_torch_does(opset: int) -> None:
    import onnxruntime

    net, proto = residual(), export(residual(), opset=opset)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    assert proto.ir_version == {17: 8, 18: 8, 19: 9, 20: 9}.get(opset, 10)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for batch in (1, 2, 3, 7):
        images = np.random.default_rng(batch).normal(size=(batch, 3, 8, 8)).astype(np.float32)
        [outputs] = session.run(None, {"input": images})
        with torch.no_grad():
            np.testing.assert_allclose(outputs, net(torch.from_numpy(images)), atol=1e-6)


def test_batch_normalisation_is_folded_and_means_are_pooled_in_integers() -> None:
    operators = [node.op_type for node in export(residual()).graph.node]
    assert "BatchNormalization" not in operators
    assert "ReduceMean" not in operators
    assert "AveragePool" in operators


def test_nodes_carry_the_names_of_the_nets_own_layers() -> None:
    names = [node.name for node in export(residual()).graph.node]
    assert {"conv1/Conv", "conv2/Conv", "fc/Gemm"} <= set(names)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("logits", "logits"), ("probabilities", "probabilities"), ("other", "output")],
)
def test_the_output_is_named_by_its_kind(kind: Any, name: str) -> None:
    contract = InputContract(8, 8, output_kind=kind)
    proto = export(residual(), contract)
    assert [value.name for value in proto.graph.output] == [name]
    assert [value.name for value in proto.graph.input] == ["input"]


def test_a_static_batch_is_static_throughout() -> None:
    proto = export(residual(), batch=4)
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_value == 4


def test_no_path_of_this_machine_is_left_in_the_bytes(make_net: MakeNet) -> None:
    from edgecnn.nets import rebuild

    bundle = make_net()
    model = export_core(rebuild(bundle), CONTRACT, opset_version=18, batch_size=None)
    content = clean.to_bytes(model)
    places = [Path.cwd(), Path(sys.prefix), Path(torch.__file__).parent, bundle.folder.parent]
    for text in (*map(str, places), "my_net", ".py", "site-packages", "torch", "stack_trace"):
        assert text.encode() not in content


def test_nothing_is_printed_warned_or_logged(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(residual(), opset=17)
        with pytest.raises(ModelError):
            export(Decides().eval())
    assert capfd.readouterr() == ("", "")


CHILD = """
import logging, sys
from edgecnn.bundle import open_bundle
from edgecnn.exporting.core import export_core
from edgecnn.graph import clean
from edgecnn.records import sha256
from edgecnn.nets import rebuild
bundle = open_bundle(sys.argv[1])
contract = bundle.manifest.contract
core = export_core(rebuild(bundle), contract, opset_version=18, batch_size=None)
print(sha256(clean.to_bytes(core)), logging.root.handlers)
"""


def test_the_same_net_gives_the_same_bytes_in_another_process_and_in_silence(
    make_net: MakeNet,
) -> None:
    from edgecnn.nets import rebuild

    bundle = make_net()
    here = export_core(rebuild(bundle), CONTRACT, opset_version=18, batch_size=None)
    there = subprocess.run(
        [sys.executable, "-c", CHILD, str(bundle.folder)], capture_output=True, text=True
    )
    assert (there.returncode, there.stderr) == (0, "")
    assert there.stdout.split() == [sha256(clean.to_bytes(here)), "[]"]


class Decides(nn.Module):
    """A net whose forward() looks at its values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.mean((2, 3))
        logits: torch.Tensor = self.fc(x if x.sum() > 0 else -x)
        return logits


def test_a_net_that_decides_by_its_values_is_refused_in_one_sentence() -> None:
    with pytest.raises(ModelError, match="decides by the values") as caught:
        export(Decides().eval())
    assert "\n" not in str(caught.value)


class Unknown(nn.Module):
    """A net with an operator that ONNX has no word for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = torch.linalg.eigvals(x).real
        return values.flatten(1)


def test_an_operator_that_onnx_lacks_is_named() -> None:
    with pytest.raises(ModelError, match="linalg_eig") as caught:
        export(Unknown().eval())
    assert "\n" not in str(caught.value)


def test_what_opset_17_lacks_is_refused_with_the_flag() -> None:
    class Mish(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.mish(x).mean((2, 3))

    with pytest.raises(ModelError, match="opset 17") as caught:
        export(Mish().eval(), opset=17)
    assert "--opset 18" in caught.value.remedy
