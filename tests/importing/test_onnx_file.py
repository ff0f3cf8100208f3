from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from edgecnn import load
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import EdgeCNNError, InputError, ModelError, RuntimeCrashed
from edgecnn.golden import expected, golden
from edgecnn.importing.contract import Choice
from edgecnn.importing.onnx_file import import_onnx
from edgecnn.importing.report import ImportReport
from edgecnn.runtime import open_session, plain_file
from tests.conftest import CLASSES, CONTRACT, SIZE, TinyNet
from tests.importing import foreign
from tests.importing.foreign import CHOICE, Change

Imported = tuple[ImportReport, Bundle]
ImportNet = Callable[..., Imported]


@pytest.fixture
def import_net(tiny_net: TinyNet, tmp_path: Path) -> ImportNet:
    """Give a function that imports the tiny net after some changes."""

    def run(
        *changes: Change, choice: Choice = CHOICE, batch: int | str = "N", **options: Any
    ) -> Imported:
        path = foreign.write(tmp_path / "net.onnx", tiny_net, *changes, batch=batch)
        report = import_onnx(path, choice, tmp_path / "bundle", progress=_ignore, **options)
        return report, open_bundle(tmp_path / "bundle")

    return run


def _ignore(*_: object) -> None:
    pass


def _original(path: Path, values: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Give what a file itself answers, image by image."""
    with open_session(plain_file(str(path)), threads=1) as session:
        name = session.inputs[0].name
        rows = [session.run({name: values[i : i + 1]}) for i in range(len(values))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _hold(bundle: Bundle, net: TinyNet, exact: NDArray[np.float64], batch: int = 3) -> None:
    """Hold a bundle's fp32 and golden vectors against the textbook's sums."""
    with load(bundle, batch_size=batch) as predictor:
        found = predictor.run(net.images[:10])
    np.testing.assert_allclose(found, exact[:10], atol=1e-4)
    vectors = golden(bundle)
    assert vectors.stand_in
    assert set(vectors.labels) == {-1}


NEWEST = onnx.defs.onnx_opset_version()


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (foreign.opset(7), foreign.old_ir),
        (foreign.opset(12),),
        (foreign.opset(13),),
        (foreign.opset(NEWEST),),
        (foreign.weights_as_nodes,),
        (foreign.opset(9), foreign.weights_as_nodes, foreign.without_names),
        (foreign.with_slashes, foreign.without_names),
    ],
    ids=["plain", "opset7-ir3", "opset12", "opset13", "newest", "constants", "unnamed", "slashes"],
)
def test_a_file_answers_as_before(
    changes: tuple[Change, ...], import_net: ImportNet, tiny_net: TinyNet
) -> None:
    report, bundle = import_net(*changes)
    variant = bundle.variant("fp32")
    assert (variant.batch, variant.preprocessing) == ("dynamic", True)
    _hold(bundle, tiny_net, tiny_net.exact(tiny_net.images))
    vectors = golden(bundle)
    [(name, outputs)] = vectors.outputs.items()
    np.testing.assert_allclose(outputs, tiny_net.exact(vectors.images), atol=1e-5)
    assert bundle.manifest.contract.labels == CLASSES
    assert set(variant.tolerances) == {name}
    np.testing.assert_allclose(expected(bundle, variant).outputs[name], outputs, atol=1e-4)
    assert report.variants == ("fp32",)
    assert report.proof is not None
    assert (report.proof.images, report.proof.batches) == (32, (1, 2, 3, 7))
    assert report.proof.largest_difference[name] < 1e-4
    assert "32 drawn images, at batch 1, 2, 3, 7" in report.proof.sentence


def test_old_operators_are_converted(import_net: ImportNet) -> None:
    report, bundle = import_net(foreign.opset(7), foreign.old_ir)
    assert bundle.variant("fp32").settings["opset"] == "17"
    assert "Opset 7 is converted to 17." in report.notes
    assert "3 weights that were listed as inputs are weights now." in report.notes


def test_what_cannot_be_converted_stays(
    import_net: ImportNet, tiny_net: TinyNet, tmp_path: Path
) -> None:
    report, bundle = import_net(foreign.by_pixel, foreign.old_ir)
    assert bundle.variant("fp32").settings["opset"] == "7"
    [note] = [note for note in report.notes if note.startswith("Opset 7 stays")]
    assert "spatial must have value 1" in note
    assert note.endswith("needs opset 13.")
    values = foreign.pixels_to_float(tiny_net, tiny_net.images, "nchw")[:10]
    with load(bundle) as predictor:
        found = predictor.run(tiny_net.images[:10])
    original = _original(tmp_path / "net.onnx", values)["logits"]
    np.testing.assert_allclose(found, original, atol=1e-4)


def test_opsets_that_edgecnn_writes_itself_stay(import_net: ImportNet) -> None:
    for version in (13, NEWEST):
        _, bundle = import_net(foreign.opset(version), force=True)
        assert bundle.variant("fp32").settings["opset"] == str(min(version, 23))


def test_a_net_of_other_axes(import_net: ImportNet, tiny_net: TinyNet) -> None:
    _, bundle = import_net(foreign.channels_last)
    assert bundle.manifest.contract.layout == "nhwc"
    _hold(bundle, tiny_net, tiny_net.exact(tiny_net.images))


def test_open_sizes_need_a_size(import_net: ImportNet, tiny_net: TinyNet) -> None:
    with pytest.raises(InputError, match="size"):
        import_net(foreign.open_size)
    sized = Choice((SIZE, SIZE), mean=CONTRACT.mean, std=CONTRACT.std)
    _, bundle = import_net(foreign.open_size, choice=sized)
    _hold(bundle, tiny_net, tiny_net.exact(tiny_net.images))


def test_weights_beside_the_file_are_taken_in(tiny_net: TinyNet, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    path = foreign.write(folder / "net.onnx", tiny_net)
    foreign.beside(path, "net.data")
    assert (folder / "net.data").is_file()
    import_onnx(path, CHOICE, tmp_path / "bundle", progress=_ignore)
    shutil.rmtree(folder)
    _hold(open_bundle(tmp_path / "bundle"), tiny_net, tiny_net.exact(tiny_net.images))


def test_weights_in_another_folder_are_refused(tiny_net: TinyNet, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    path = foreign.write(folder / "net.onnx", tiny_net)
    foreign.beside(path, "net.data")
    content = path.read_bytes().replace(b"net.data", b"../n.dat")
    path.write_bytes(content)
    (folder / "net.data").rename(tmp_path / "n.dat")
    with pytest.raises(ModelError, match="outside its own folder"):
        import_onnx(path, CHOICE, tmp_path / "bundle", progress=_ignore)


def test_a_softmax_gives_probabilities(import_net: ImportNet, tiny_net: TinyNet) -> None:
    report, bundle = import_net(foreign.softmax)
    assert bundle.manifest.contract.output_kind == "probabilities"
    assert "softmax" in report.sources["output-kind"]
    powers = np.exp(tiny_net.exact(tiny_net.images))
    _hold(bundle, tiny_net, powers / powers.sum(axis=1, keepdims=True))


def test_several_outputs_are_kept(import_net: ImportNet, tiny_net: TinyNet) -> None:
    report, bundle = import_net(foreign.two_outputs)
    assert report.outputs == {"rectified": (6, 6, 6), "logits": (4,)}
    assert bundle.manifest.contract.output == "logits"
    assert set(bundle.variant("fp32").tolerances) == set(report.outputs)
    _hold(bundle, tiny_net, tiny_net.exact(tiny_net.images))


def test_scores_of_1_by_1_pixels_become_rows(import_net: ImportNet, tiny_net: TinyNet) -> None:
    report, bundle = import_net(foreign.ones_at_the_end)
    assert report.outputs == {"maps_of_logits": (4,)}
    assert any("[N, classes]" in note for note in report.notes)
    _hold(bundle, tiny_net, tiny_net.exact(tiny_net.images))


def test_computed_weights_become_weights(
    import_net: ImportNet, tiny_net: TinyNet, tmp_path: Path
) -> None:
    _, bundle = import_net(foreign.weights_of_a_shape)
    values = foreign.pixels_to_float(tiny_net, tiny_net.images, "nchw")[:10]
    with load(bundle) as predictor:
        found = predictor.run(tiny_net.images[:10])
    original = _original(tmp_path / "net.onnx", values)["logits"]
    np.testing.assert_allclose(found, original, atol=1e-4)
    model = onnx.load(bundle.folder / "fp32.onnx")
    assert "ConstantOfShape" not in [node.op_type for node in model.graph.node]


def test_batch_normalisation_is_folded(
    import_net: ImportNet, tiny_net: TinyNet, tmp_path: Path
) -> None:
    report, bundle = import_net(foreign.batch_norm)
    assert "Folded into the weights: 1 batch normalisations." in report.notes
    model = onnx.load(bundle.folder / "fp32.onnx")
    assert "BatchNormalization" not in [node.op_type for node in model.graph.node]
    values = foreign.pixels_to_float(tiny_net, tiny_net.images, "nchw")[:10]
    with load(bundle) as predictor:
        found = predictor.run(tiny_net.images[:10])
    original = _original(tmp_path / "net.onnx", values)["logits"]
    np.testing.assert_allclose(found, original, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words", "remedy"),
    [
        (foreign.second_input, "has 2 inputs", "edgecnn parity"),
        (foreign.taking(TensorProto.UINT8), "preprocessing inside", "edgecnn bench"),
        (foreign.taking(TensorProto.FLOAT16), "16-bit floats", "float32"),
        (foreign.taking(TensorProto.DOUBLE), "begins with float32", "float32"),
    ],
    ids=["two", "uint8", "float16", "float64"],
)
def test_other_inputs_are_refused(
    change: Change, words: str, remedy: str, import_net: ImportNet
) -> None:
    with pytest.raises(ModelError, match=words) as refusal:
        import_net(change)
    assert remedy in refusal.value.remedy


def test_other_pictures_are_refused(import_net: ImportNet) -> None:
    with pytest.raises(InputError, match="takes 3 channels, and gray has 1"):
        import_net(choice=Choice(color="gray"))
    with pytest.raises(InputError, match="no output 'scores'"):
        import_net(choice=Choice(output="scores"))
    with pytest.raises(InputError, match="contradicts the graph"):
        import_net(choice=Choice(input_size=(16, 16)))


def test_nothing_is_written_where_something_is(import_net: ImportNet) -> None:
    import_net()
    with pytest.raises(EdgeCNNError, match="already exists"):
        import_net()
    import_net(force=True)


def test_a_net_that_is_hungry_only_for_pictures_is_refused(
    import_net: ImportNet, tmp_path: Path
) -> None:
    # On zeros, as in the first load, it takes nothing.
    with pytest.raises(RuntimeCrashed, match=r"net\.onnx failed on pictures, within 2 GiB: .*"):
        import_net(foreign.hungry_for_pictures)
    assert not (tmp_path / "bundle").exists()
