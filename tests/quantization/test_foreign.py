"""int8 of nets that users bring: outputs that are no classes, several outputs, ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn import bundle as bundles
from edgecnn.agreement import parity
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.data import Dataset
from edgecnn.errors import InputError, ModelError
from edgecnn.golden import expected, make_golden
from edgecnn.graph import clean, prefix
from edgecnn.quantization import quantize
from edgecnn.quantization.making import quantize_core
from edgecnn.spec import InputContract, Variant
from tests.conftest import CONTRACT, TinyNet, TypeCommand
from tests.quantization.conftest import exported_core, pictures

BRIEFLY = 0.05
MakeForeign = Callable[..., Bundle]


def two_outputs(model: ir.Model) -> ir.Model:
    """Give the tiny net's ReLU out, too, before the logits."""
    [maps] = [node.outputs[0] for node in model.graph if node.op_type == "Relu"]
    maps.shape = ir.Shape(["N", 6, 6, 6])
    maps.type = ir.TensorType(ir.DataType.FLOAT)
    model.graph.outputs.insert(0, maps)
    return model


@pytest.fixture
def make_foreign(tmp_path_factory: pytest.TempPathFactory, tiny_net: TinyNet) -> MakeForeign:
    """Give a function that makes a bundle as importing an ONNX file makes it."""

    def make(contract: InputContract, *, several: bool = False, stand_in: bool = False) -> Bundle:
        core = exported_core(tiny_net)
        model = prefix.put_preprocessing_in_front(two_outputs(core) if several else core, contract)
        images, labels = tiny_net.images[80:112], tiny_net.labels[80:112]
        exact = {"rectified": tiny_net.maps(images)} if several else {}
        exact["logits"] = tiny_net.exact(images)
        variant = Variant("fp32", "fp32", "onnx", ("fp32.onnx",), made_by="edgecnn import")
        manifest = bundles.new_manifest("foreign", contract, model=None, data=None, environment={})
        files = {
            "fp32.onnx": clean.to_bytes(model),
            GOLDEN: make_golden(images, labels, exact, stand_in=stand_in),
        }
        folder = tmp_path_factory.mktemp("foreign") / "bundle"
        return bundles.create(folder, replace(manifest, variants=(variant,)), files)

    return make


def test_outputs_that_are_no_classes_are_held_against_the_golden_ones(
    make_foreign: MakeForeign, tiny_data: Dataset, type_command: TypeCommand
) -> None:
    bundle = make_foreign(replace(CONTRACT, output_kind="other", labels=()), several=True)
    report = quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1)
    assert report.paired is None
    assert (report.int8.accuracy, report.fp32.correct) == (None, None)
    assert list(report.agreement) == list(report.tolerances) == ["rectified", "logits"]
    assert 15 < report.agreement["rectified"].sqnr_db < 60
    assert report.agreement["logits"].top1 is None
    assert "dB (SQNR)" in report.verdict.reasons[-1]
    after = open_bundle(bundle.folder)
    assert list(expected(after, after.variant("int8")).outputs) == ["rectified", "logits"]
    assert parity(after, ["int8"], threads=1).verdict.outcome == "pass"


def test_of_several_outputs_the_scores_alone_have_an_accuracy(
    make_foreign: MakeForeign, tiny_data: Dataset
) -> None:
    bundle = make_foreign(replace(CONTRACT, output="logits"), several=True)
    report = quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1)
    assert report.paired is not None
    assert report.int8.correct is not None
    assert report.tolerances["rectified"].top1 is None
    assert report.tolerances["logits"].top1 is not None


def test_classes_that_are_no_row_are_refused_with_the_way_to_say_so(
    make_foreign: MakeForeign, tiny_data: Dataset
) -> None:
    bundle = make_foreign(CONTRACT, several=True)
    with pytest.raises(ModelError, match="no row of scores") as caught:
        quantize(bundle, data=tiny_data, duration=BRIEFLY, threads=1)
    assert "--output-kind other" in caught.value.remedy


def test_without_classes_there_is_no_loss_to_allow(
    make_foreign: MakeForeign, tiny_data: Dataset
) -> None:
    bundle = make_foreign(replace(CONTRACT, output_kind="other", labels=()))
    with pytest.raises(InputError, match="not classes") as caught:
        quantize(bundle, data=tiny_data, max_drop=0.01)
    assert "--max-drop" in caught.value.remedy


def test_a_quantized_file_is_not_quantized_again(
    make_foreign: MakeForeign, tiny_data: Dataset
) -> None:
    bundle = make_foreign(CONTRACT)
    int8 = replace(bundle.variant("fp32"), name="int8", precision="int8")
    only = Bundle(bundle.folder, replace(bundle.manifest, variants=(int8,)))
    with pytest.raises(InputError, match="made from a quantized ONNX file") as caught:
        quantize(only, data=tiny_data)
    assert "edgecnn import" in caught.value.remedy


def test_large_pictures_are_calibrated_a_few_at_a_time(tiny_net: TinyNet) -> None:
    """One run over all of them would be the same, but for its memory."""
    core, images = exported_core(tiny_net), pictures(70, 0, 256).images
    at_once = quantize_core(core, CONTRACT, images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgecnn.quantization.running._BYTES_AT_ONCE", 4 * 8 * 8 * 3)
        one_by_one = quantize_core(core, CONTRACT, images)
    np.testing.assert_array_equal(scales(at_once), scales(one_by_one))


def scales(model: ir.Model) -> list[float]:
    """Give every scale of a quantized model."""
    return [
        float(node.inputs[1].const_value.numpy())
        for node in model.graph
        if node.op_type == "QuantizeLinear"
        and node.inputs[1] is not None
        and node.inputs[1].const_value is not None
    ]
