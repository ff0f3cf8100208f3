"""What `inspect` says of bundles and files, and that it describes the stale and the damaged."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edgecnn
from edgecnn import bundle as bundles
from edgecnn import inspection
from edgecnn.errors import BundleError, InputError, ModelError, UnavailableError
from edgecnn.records import file_sha256, from_json, to_json
from tests.graph.hostile import every_hostile_file

HOSTILE = every_hostile_file()

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


def test_a_bundle_is_described(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    found = edgecnn.inspect(bundle.folder)
    assert found == inspection.inspect(bundle)
    assert found.manifest == bundle.manifest
    assert found.damaged == ()
    fp32, int8 = found.variants
    assert [each.variant for each in found.variants] == list(bundle.manifest.variants)
    assert [each.state for each in found.variants] == ["ok", "ok"]
    assert fp32.bytes == (bundle.folder / "fp32.onnx").stat().st_size
    assert fp32.graph is not None
    assert int8.graph is not None
    # 8x8 pixels, 3x3 convolution without padding: 36 places x 6 filters x 27; then 6 x 4.
    assert fp32.graph.macs == int8.graph.macs == 36 * 6 * 27 + 24
    assert [layer.quantized for layer in fp32.graph.layers if layer.macs] == [False, False]
    assert [layer.quantized for layer in int8.graph.layers if layer.macs] == [True, False]
    assert int8.graph.parameter_bytes < fp32.graph.parameter_bytes


def test_lineage_goes_back_to_the_first_file(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    (only,) = inspection.inspect(bundle, ["int8"]).variants
    digests = {path.name: file_sha256(path) for path in bundle.folder.glob("*.onnx")}
    assert [(step.file, step.sha256) for step in only.lineage] == [
        ("int8.onnx", digests["int8.onnx"]),
        ("fp32.onnx", digests["fp32.onnx"]),
    ]


def test_a_stale_variant_is_described_not_refused(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    bundle = make_bundle()
    fp32 = bundle.variant("fp32")
    bundle = bundles.extend(bundle, {"fp32.onnx": tiny_net.onnx() + b""}, replace(fp32))
    assert [each.state for each in inspection.inspect(bundle).variants] == ["ok", "ok"]
    other = tiny_net.onnx(preprocessing=False)
    found = inspection.inspect(bundles.extend(bundle, {"fp32.onnx": other}, fp32))
    states = {each.variant.name: each.state for each in found.variants}
    assert states == {"fp32": "ok", "int8": "stale"}
    (int8,) = (each for each in found.variants if each.variant.name == "int8")
    assert "fp32.onnx changed after it was made" in int8.problem
    assert int8.graph is not None
    # The digest that fp32.onnx had when int8 was made of it.
    assert int8.lineage[1].sha256 != found.manifest.files["fp32.onnx"].sha256  # type: ignore


def test_a_damaged_file_is_described_not_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.folder / "int8.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    (bundle.folder / bundles.GOLDEN).unlink()
    found = inspection.inspect(bundle, ["int8"])
    (int8,) = found.variants
    assert (int8.state, int8.graph) == ("damaged", None)
    assert int8.problem == int8.unseen
    assert len(found.damaged) == 2
    assert "golden.npz is missing" in "".join(found.damaged)
    assert "int8.onnx is not the file that was written" in "".join(found.damaged)


def test_a_plain_file_is_described(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False))
    found = edgecnn.inspect(str(path))
    assert found.manifest is None
    (only,) = found.variants
    assert only.lineage[0].sha256 == file_sha256(path)
    assert only.bytes == path.stat().st_size
    assert only.graph is not None
    assert only.graph.parameters == 6 * 27 + 24 + 4
    with pytest.raises(InputError, match="is a file and has no variants"):
        inspection.inspect(path, ["fp32"])


def test_what_is_found_comes_back_from_json(make_bundle: MakeBundle) -> None:
    found = inspection.inspect(make_bundle())
    assert from_json(inspection.Inspection, to_json(found), where="x") == found


def test_what_is_not_there_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        inspection.inspect(tmp_path / "absent")
    with pytest.raises(BundleError, match="has no variant 'int4'"):
        inspection.inspect(make_bundle(), ["int4"])
    foreign = tmp_path / "net.onnx"
    foreign.write_text("not a model")
    with pytest.raises(ModelError, match="is no ONNX file"):
        inspection.inspect(foreign)


def test_a_graph_that_cannot_be_read_is_described_unless_asked_for(
    make_bundle: MakeBundle,
) -> None:
    bundle = make_bundle(variants=("fp32",))
    broken = bundles.extend(bundle, {"fp32.onnx": b"not a model"}, bundle.variant("fp32"))
    (fp32,) = inspection.inspect(broken).variants
    assert (fp32.state, fp32.graph) == ("ok", None)
    assert "is no ONNX file" in fp32.unseen
    with pytest.raises(ModelError, match="is no ONNX file"):
        inspection.inspect(broken, ["fp32"])
    other = replace(bundle.variant("fp32"), format="c")
    (fp32,) = inspection.inspect(bundles.extend(bundle, {}, other)).variants
    assert "The format 'c' holds no ONNX graph" in fp32.unseen


def test_without_onnx_a_bundle_is_described_as_far_as_it_goes(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle()
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    monkeypatch.setattr("edgecnn.extras.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = inspection.inspect(bundle)
    assert [each.state for each in found.variants] == ["ok", "ok"]
    assert [each.graph for each in found.variants] == [None, None]
    assert "needs onnx, which is not installed" in found.variants[0].unseen
    for model, variants in ((bundle, ["fp32"]), (path, None)):
        with pytest.raises(UnavailableError, match="needs onnx") as caught:
            inspection.inspect(model, variants)
        assert "pip install 'edgecnn[onnx]'" in caught.value.remedy


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_described_or_refused(name: str, tmp_path: Path) -> None:
    path = HOSTILE[name][0](tmp_path)
    try:
        graph = inspection.inspect(path).variants[0].graph
    except InputError:
        return
    assert graph is not None
    assert any("No engine gets to see this file" in note for note in graph.notes)
