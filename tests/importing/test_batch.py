from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn import load
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import ModelError
from edgecnn.importing.contract import Choice
from edgecnn.importing.onnx_file import import_onnx
from edgecnn.importing.proof import golden_count
from edgecnn.importing.report import ImportReport
from tests.conftest import TinyNet
from tests.importing import foreign
from tests.importing.foreign import CHOICE, Change


def _import(
    net: TinyNet, folder: Path, *changes: Change, batch: int | str, choice: Choice = CHOICE
) -> tuple[ImportReport, Bundle]:
    path = foreign.write(folder / "net.onnx", net, *changes, batch=batch)
    report = import_onnx(path, choice, folder / "bundle", progress=lambda *_: None)
    return report, open_bundle(folder / "bundle")


def _answers_right(bundle: Bundle, net: TinyNet) -> bool:
    with load(bundle) as predictor:
        found = predictor.run(net.images[:9])
    return bool(np.allclose(found, net.exact(net.images[:9]), atol=1e-4))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("flatten", ["Flatten", "Reshape", "Reshape to the rest"])
def test_a_fixed_batch_is_opened(
    batch: int, flatten: str, tiny_net: TinyNet, tmp_path: Path
) -> None:
    sizes = {"Flatten": None, "Reshape": (batch, 6), "Reshape to the rest": (batch, -1)}[flatten]
    changes = [foreign.reshaped(*sizes)] if sizes else []
    report, bundle = _import(tiny_net, tmp_path, *changes, batch=batch)
    assert bundle.variant("fp32").batch == "dynamic"
    assert any(f"was fixed at {batch}" in note for note in report.notes)
    for size in (1, 2, 3, 7):
        with load(bundle, batch_size=size) as predictor:
            found = predictor.run(tiny_net.images[:14])
        np.testing.assert_allclose(found, tiny_net.exact(tiny_net.images[:14]), atol=1e-4)


def test_a_batch_that_is_open_in_name_only_is_opened(tiny_net: TinyNet, tmp_path: Path) -> None:
    report, bundle = _import(tiny_net, tmp_path, foreign.reshaped(1, -1), batch="N")
    assert bundle.variant("fp32").batch == "dynamic"
    assert any("open in name only" in note for note in report.notes)
    assert _answers_right(bundle, tiny_net)


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("change", [foreign.batch_merged, foreign.batch_squeezed])
def test_what_mixes_the_batch_keeps_one_image(
    change: Change, batch: int | str, tiny_net: TinyNet, tmp_path: Path
) -> None:
    report, bundle = _import(tiny_net, tmp_path, change, batch=batch)
    assert bundle.variant("fp32").batch == 1
    assert any("stays 1, and more images are run in a loop" in note for note in report.notes)
    if change is foreign.batch_merged:
        assert _answers_right(bundle, tiny_net)
    with load(bundle) as predictor:
        one, many = predictor.run(tiny_net.images[:1]), predictor.run(tiny_net.images[:5])
    np.testing.assert_array_equal(one[0], many[0])


def test_the_squeezed_net_runs_and_answers_wrongly(tiny_net: TinyNet, tmp_path: Path) -> None:
    # Were it not so, the test above would prove nothing of what is seen only in the answers.
    from edgecnn.runtime import open_session, plain_file

    path = foreign.write(tmp_path / "net.onnx", tiny_net, foreign.batch_squeezed, batch="N")
    values = foreign.pixels_to_float(tiny_net, tiny_net.images[:2], "nchw")
    with open_session(plain_file(str(path)), threads=1) as session:
        both = session.run({"image": values})["logits"]
        alone = session.run({"image": values[:1]})["logits"]
    assert np.abs(both[0] - alone[0]).max() > 0.1


def test_answers_that_do_not_depend_on_the_image_prove_nothing(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    def blind(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "w":
                tensor.raw_data = bytes(len(tensor.raw_data))

    report, bundle = _import(tiny_net, tmp_path, blind, batch=1)
    assert bundle.variant("fp32").batch == 1
    assert any("hardly depend on these images" in note for note in report.notes)


def test_an_output_without_a_batch_is_refused(tiny_net: TinyNet, tmp_path: Path) -> None:
    def turned(model: onnx.ModelProto) -> None:
        node = onnx.helper.make_node("Transpose", ["logits"], ["turned"], perm=[1, 0])
        model.graph.node.append(node)
        model.graph.output[0].CopyFrom(
            onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, [4, None])
        )

    with pytest.raises(ModelError, match="'turned' has the shape"):
        _import(tiny_net, tmp_path, turned, batch="N")


def test_a_resize_to_sizes_is_opened(tiny_net: TinyNet, tmp_path: Path) -> None:
    def doubled(model: onnx.ModelProto) -> None:
        sizes = onnx.numpy_helper.from_array(np.array([1, 3, 16, 16]), "sizes")
        model.graph.initializer.append(sizes)
        resize = onnx.helper.make_node(
            "Resize", ["image", "", "", "sizes"], ["large"], mode="nearest"
        )
        for node in model.graph.node:
            node.input[:] = ["large" if name == "image" else name for name in node.input]
        model.graph.node.insert(0, resize)

    _, bundle = _import(tiny_net, tmp_path, doubled, batch=1)
    assert bundle.variant("fp32").batch == "dynamic"


def test_large_nets_get_fewer_golden_images() -> None:
    assert [golden_count(macs) for macs in (0, 10**6, 250_000_000, 10**12)] == [8, 32, 16, 8]


def test_images_that_change_one_anothers_answers_are_refused(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="depends on the others in its batch of 4"):
        _import(tiny_net, tmp_path, foreign.batch_squeezed, batch=4)
    _, bundle = _import(tiny_net, tmp_path, foreign.batch_squeezed, batch=1)
    assert bundle.variant("fp32").batch == 1
