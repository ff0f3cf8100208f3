"""The first layer at which two runtimes, two files, or fp32 and int8 part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, load_model_from_string, numpy_helper

from edgecnn import bundle as bundles
from edgecnn.agreement.layers import LayerComparison, LayersReport, parity_layers
from edgecnn.errors import InputError, ModelError
from edgecnn.graph import clean, prefix
from edgecnn.quantization.making import quantize_core
from edgecnn.reports import make_report, read_body
from tests.conftest import CONTRACT

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle, TinyNet, TypeCommand

LAYERS = ["first", "resize", "second", "third", "sum", "pool", "flatten", "last"]


def net(batch: int | str = "N", **constants: Any) -> ModelProto:
    """Give a float core of named layers with a shortcut; `constants` replaces some of its own."""
    random = np.random.default_rng(5)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": (8, 8, 3, 3), "w4": (8, 4)}
    tensors: dict[str, Any] = {name: random.normal(0, 0.2, s) for name, s in shapes.items()}
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    tensors |= {"sizes": np.array([1, 1, 2, 2], np.float32)}
    tensors |= constants
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], "first", pads=pads),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Resize", ["r1", "", "sizes"], ["big"], "resize", mode="nearest"),
        helper.make_node("Conv", ["big", "w2"], ["c2"], "second", pads=pads),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], "third", pads=pads),
        helper.make_node("Add", ["c3", "big"], ["s"], "sum"),
        helper.make_node("GlobalAveragePool", ["s"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w4"], ["logits"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def constant(model: ModelProto, name: str) -> Any:
    (found,) = [each for each in model.graph.initializer if each.name == name]
    return found


def times(model: ModelProto, name: str, factor: float) -> ModelProto:
    """Multiply a constant, in place."""
    tensor = constant(model, name)
    value = numpy_helper.to_array(tensor) * np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))
    return model


def with_pixels(core: ModelProto) -> bytes:
    model = clean.from_bytes(core.SerializeToString(), where="the net")
    return clean.to_bytes(prefix.put_preprocessing_in_front(model, CONTRACT))


def rounded(images: Any) -> ModelProto:
    core = clean.from_bytes(net().SerializeToString(), where="the net")
    int8 = prefix.put_preprocessing_in_front(quantize_core(core, CONTRACT, images), CONTRACT)
    return load_model_from_string(clean.to_bytes(int8))


@pytest.fixture
def bundle(make_bundle: MakeBundle, tiny_net: TinyNet) -> Bundle:
    int8 = rounded(tiny_net.images[:32]).SerializeToString()
    return make_bundle(files={"fp32": with_pixels(net()), "int8": int8})


def write(path: Path, content: ModelProto | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


RUNTIME = '''
"""ONNX Runtime, but for what it does to the model first."""
import tempfile
from dataclasses import replace
from pathlib import Path
import numpy as np
import onnx
from onnx import numpy_helper
from edgecnn.errors import ModelError
from edgecnn.shelves import load_runtime

ort = load_runtime("ort")
NAME, FORMATS, PROVIDERS, availability = "mine", ort.FORMATS, ort.PROVIDERS, ort.availability


def times(model, name, factor):
    for tensor in model.graph.initializer:
        if tensor.name == name:
            value = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(value, name))


def open_session(variant, **asked):
    model = onnx.load(variant.files[0])
    {change}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed.onnx"
        onnx.save(model, path)
        return ort.open_session(replace(variant, files=(str(path),)), **asked)
'''


@pytest.fixture
def make_runtime(tmp_path: Path) -> Callable[[str], str]:
    """Give a function that makes a runtime which changes each model before it runs it."""

    def make(change: str) -> str:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "runtime.py").write_text(RUNTIME.format(change=change))
        return str(folder)

    return make


def only(found: LayersReport) -> LayerComparison:
    (comparison,) = found.comparisons
    return comparison


def parting(found: LayersReport) -> list[str]:
    return [each.layer for each in only(found).tensors if each.parts]


def layers(found: LayersReport) -> list[str]:
    """Name the layers, but for those of the preprocessing."""
    return [each.layer for each in only(found).tensors if not each.layer.startswith("edgecnn/")]


def test_sound_runtimes_do_not_part(bundle: Bundle) -> None:
    found = parity_layers(bundle, runtime=("ort", "reference"), threads=1)
    assert found.verdict.outcome == "pass"
    assert [each.rule for each in found.comparisons] == ["float", "steps"]
    assert [each.parted for each in found.comparisons] == [None, None]
    fp32 = replace(found, comparisons=found.comparisons[:1])
    assert layers(fp32) == LAYERS
    # A Relu becomes part of the convolution before it, which is what it is called after.
    assert ("first", "r1") in [(each.layer, each.tensor) for each in only(fp32).tensors]
    assert 0 < max(each.roundings for each in only(fp32).tensors) < 16
    assert set(found.measured) == {"golden.npz", "fp32.onnx", "int8.onnx"}
    assert (found.inputs, found.images) == ("golden vectors", 8)
    report = make_report(LayersReport.KIND, found, found.measured)
    assert read_body(report, LayersReport) == found


def test_the_layer_that_a_runtime_computes_otherwise_is_named(
    bundle: Bundle, make_runtime: Callable[[str], str]
) -> None:
    mine = make_runtime("times(model, 'w2', 1.0001)")
    found = parity_layers(bundle, ["fp32"], runtime=("ort", mine), threads=1)
    assert only(found).parted == "r2"
    assert parting(found)[0] == "second"
    assert "first" not in parting(found)
    (reason,) = found.verdict.reasons
    assert reason.startswith(
        "fp32 on ort/cpu and fp32 on mine/cpu part at second (Conv), tensor r2"
    )
    # Whichever of the two is wrong, and even if it is the one that comes first.
    back = parity_layers(bundle, ["fp32"], runtime=(mine, "ort"), threads=1)
    assert only(back).parted == "r2"


@pytest.mark.parametrize(
    ("scale", "factor", "layer"),
    [("r2_scale", 8, "second"), ("r2_scale", 0.1, "second"), ("w3_scale", 1.5, "third")],
)
def test_the_layer_of_int8_with_a_ruined_scale_is_named(
    bundle: Bundle, tiny_net: TinyNet, tmp_path: Path, scale: str, factor: float, layer: str
) -> None:
    sound = parity_layers(bundle, ["fp32"], "int8", threads=1)
    assert (sound.verdict.outcome, only(sound).rule) == ("pass", "8 bits")
    assert layers(sound) == LAYERS
    ruined = write(tmp_path / "ruined.onnx", times(rounded(tiny_net.images[:32]), scale, factor))
    found = parity_layers(bundle, ["fp32"], ruined, threads=1)
    # Those behind it only pass on what it does, and clip what has become too large for their range.
    assert parting(found)[0] == layer
    assert set(parting(found)) <= {layer, "pool"}
    assert f"part at {layer} (Conv)" in found.verdict.reasons[0]
    back = parity_layers(ruined, against=bundle, threads=1)
    assert parting(back) == parting(found)


def test_two_files_that_resize_otherwise(tmp_path: Path) -> None:
    one, other = net(), net()
    (resize,) = [node for node in other.graph.node if node.op_type == "Resize"]
    (mode,) = resize.attribute
    mode.s = b"linear"
    files = [write(tmp_path / f"{n}.onnx", model) for n, model in enumerate((one, other))]
    found = parity_layers(files[0], against=files[1], threads=1)
    assert (only(found).parted, parting(found)[0]) == ("big", "resize")
    assert (found.inputs, found.seed, found.images) == ("random inputs", 0, 8)


def test_two_bundles_are_told_apart(make_bundle: MakeBundle, bundle: Bundle) -> None:
    files = {"fp32": with_pixels(times(net(), "w3", 1.01))}
    other = make_bundle("other", variants=("fp32",), files=files)
    found = parity_layers(bundle, ["fp32"], other, threads=1)
    sides = "fp32 on ort/cpu and other/fp32 on ort/cpu"
    assert found.verdict.reasons[0].startswith(f"{sides} part at third (Conv), tensor c3:")
    assert set(found.measured) == {"golden.npz", "fp32.onnx", "other/fp32.onnx"}


def test_what_is_not_finite_on_one_side_is_named(tmp_path: Path) -> None:
    weights = np.array(numpy_helper.to_array(constant(net(), "w3")))
    weights[2, 1] = np.nan
    one = write(tmp_path / "one.onnx", net())
    other = write(tmp_path / "other.onnx", net(w3=weights))
    found = parity_layers(one, against=other, threads=1)
    assert parting(found)[0] == "third"
    assert "values are NaN or infinite on one side alone" in found.verdict.reasons[0]


def test_tensors_of_other_names_are_found_by_their_layers(tmp_path: Path) -> None:
    other = net()
    for node in other.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in ("image", "sizes") else f"x{name}" for name in names]
    for tensor in other.graph.initializer:
        tensor.name = tensor.name if tensor.name == "sizes" else f"x{tensor.name}"
    other.graph.node[2].input[1] = ""
    other.graph.output[0].name = "xlogits"
    other.graph.node[6].name = "renamed"
    times(other, "xw3", 1.01)
    files = [write(tmp_path / f"{n}.onnx", model) for n, model in enumerate((net(), other))]
    found = parity_layers(files[0], against=files[1], threads=1)
    assert (only(found).parted, only(found).alone, only(found).others_alone) == ("c3", 1, 1)
    assert any("1 of 0.onnx and 1 of 1.onnx" in text for text in found.notes)


def test_a_numbered_tensor_of_another_kind_is_not_the_same(tmp_path: Path) -> None:
    other = net()
    for node in other.graph.node:
        for names in (node.input, node.output):
            swapped = {"c3": "p", "p": "c3", "logits": "answers"}
            names[:] = [swapped.get(name, name) for name in names]
        node.name = f"other/{node.name}"
    other.graph.output[0].name = "answers"
    files = [write(tmp_path / f"{n}.onnx", model) for n, model in enumerate((net(), other))]
    found = parity_layers(files[0], against=files[1], threads=1)
    assert found.verdict.outcome == "pass"
    assert (only(found).alone, only(found).others_alone) == (2, 2)


def test_what_only_the_files_as_they_are_differ_in_is_said(
    bundle: Bundle, make_runtime: Callable[[str], str]
) -> None:
    mine = make_runtime("len(model.graph.output) > 1 or times(model, 'w2', 1.01)")
    found = parity_layers(bundle, ["fp32"], runtime=("ort", mine), threads=1)
    assert found.verdict.outcome == "inconclusive"
    assert "no longer in copies that show the tensors inside" in found.verdict.reasons[0]
    assert only(found).moved[1] > 1e-3 > only(found).moved[0]
    assert any("differ from those of the files by up to" in text for text in found.notes)


def test_what_only_the_copies_differ_in_is_said(
    bundle: Bundle, make_runtime: Callable[[str], str]
) -> None:
    mine = make_runtime("len(model.graph.output) == 1 or times(model, 'w2', 1.01)")
    found = parity_layers(bundle, ["fp32"], runtime=("ort", mine), threads=1)
    assert (found.verdict.outcome, only(found).parted) == ("inconclusive", "r2")
    assert found.verdict.reasons[0].endswith("the outputs of the files as they are do not part.")


def test_a_fixed_batch_is_filled(bundle: Bundle, tmp_path: Path) -> None:
    file = write(tmp_path / "three.onnx", with_pixels(times(net(batch=3), "w3", 1.01)))
    found = parity_layers(file, against=bundle, threads=1)
    assert (found.images, parting(found)[0]) == (6, "third")
    with pytest.raises(InputError, match=r"three\.onnx takes batches of 3, not 2"):
        parity_layers(file, against=bundle, batch_size=2)
    one = parity_layers(bundle, ["fp32"], "int8", threads=1)
    two = parity_layers(bundle, ["fp32"], "int8", threads=1, batch_size=2)
    assert (one.images, two.images, two.verdict.outcome) == (8, 8, "pass")


def test_a_runtime_that_takes_no_more_outputs(
    bundle: Bundle, make_runtime: Callable[[str], str]
) -> None:
    change = "\n    ".join(
        ["if len(model.graph.output) > 1:", "    raise ModelError('Only one output is allowed.')"]
    )
    with pytest.raises(ModelError, match=r"fp32 does not open on .*mine with its inner tensors as"):
        parity_layers(bundle, ["fp32"], runtime=("ort", make_runtime(change)))


def test_what_cannot_be_looked_into(bundle: Bundle) -> None:
    with pytest.raises(InputError, match=r"nothing to hold .* against, layer by layer") as caught:
        parity_layers(bundle)
    assert "--layers --runtime ort,reference" in caught.value.remedy
    with pytest.raises(InputError, match="There is no runtime 'nope'"):
        parity_layers(bundle, runtime="nope")
    int8 = bundle.variant("int8")
    ncnn = replace(int8, name="ncnn", format="ncnn")
    other = bundles.extend(bundle, {}, ncnn)
    with pytest.raises(InputError, match="'ncnn' is in the format 'ncnn', whose inner tensors"):
        parity_layers(other, ["fp32"], "ncnn")
    found = parity_layers(other, runtime=("ort", "reference"), threads=1)
    assert len(found.comparisons) == 2
    assert found.notes[0].endswith("are seen in ONNX files alone: ncnn.")


def test_files_with_nothing_in_common(bundle: Bundle, tmp_path: Path) -> None:
    graph = net().graph
    node = helper.make_node("GlobalMaxPool", ["image"], ["y"])
    alone = helper.make_graph(
        [node, helper.make_node("Flatten", ["y"], ["z"]), helper.make_node("Not", ["b"], ["nb"])],
        "other",
        graph.input,
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.array([True]), "b")],
    )
    other = helper.make_model(alone, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    files = [write(tmp_path / f"{n}.onnx", model) for n, model in enumerate((net(), other))]
    with pytest.raises(InputError, match=r"0\.onnx and 1\.onnx have no inner tensor in common"):
        parity_layers(files[0], against=files[1])


def test_the_command_names_the_layer_and_keeps_the_report(
    bundle: Bundle, type_command: TypeCommand, make_runtime: Callable[[str], str]
) -> None:
    mine = make_runtime("times(model, 'w3', 1.001)")
    asked = ("parity", bundle.folder, "--layers", "--variant", "fp32", "--threads", 1)
    done = type_command(*asked, "--runtime", f"ort,{mine}")
    assert done.code == 1
    assert "fp32 on ort/cpu and fp32 on mine/cpu part at third (Conv), tensor c3:" in done.err
    assert done.out.count("parts") == 5
    assert max(map(len, done.out.splitlines())) <= 80
    (path,) = (bundle.folder / "reports").iterdir()
    assert "parity-layers" in path.name
    done = type_command(*asked, "--against", "int8")
    assert done.code == 0
    assert "No tensor differs by more than rounding;" in done.out
    done = type_command(*asked, "--against", "int8", "--json")
    assert '"kind": "parity-layers"' in done.out
    done = type_command(*asked, "--against", "int8", "--atol", 1)
    assert (done.code, "leave --atol out" in done.err) == (2, True)
