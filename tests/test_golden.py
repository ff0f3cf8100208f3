from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn import bundle as bundles
from edgecnn.errors import BundleError
from edgecnn.golden import expected, golden, make_expected, make_golden, make_npz

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


def test_golden_comes_back(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    found = golden(make_bundle())
    np.testing.assert_array_equal(found.images, tiny_net.images[:32])
    np.testing.assert_array_equal(found.labels, tiny_net.labels[:32])
    assert found.outputs.keys() == {"logits"}
    np.testing.assert_array_equal(found.outputs["logits"], tiny_net.exact(tiny_net.images[:32]))
    assert found.outputs["logits"].dtype == np.float64
    assert not found.stand_in


def test_several_outputs_come_back_under_their_own_names(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=())
    images, labels = np.zeros((2, 8, 8, 3), np.uint8), np.full(2, -1)
    outputs = {"heads/boxes:0": np.ones((2, 5, 4)), "": np.zeros((2, 3)), "b": np.zeros(2)}
    files = {bundles.GOLDEN: make_golden(images, labels, outputs, stand_in=True)}
    found = golden(bundles.create(bundle.folder, bundle.manifest, files, force=True))
    assert list(found.outputs) == list(outputs)
    for name, output in outputs.items():
        np.testing.assert_array_equal(found.outputs[name], output)
    assert found.what == "golden vectors (stand-in images)"


def test_own_outputs_come_back(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    own = expected(bundle, bundle.variant("int8"))
    assert (own.runtime, own.provider) == ("ort", "cpu")
    assert {name: str(o.dtype) for name, o in own.outputs.items()} == {"logits": "float32"}


def test_same_arrays_same_bytes() -> None:
    images, labels = np.zeros((2, 8, 8, 3), np.uint8), np.arange(2)
    outputs = np.arange(8.0).reshape(2, 4)
    first = make_golden(images, labels, {"y": outputs})
    assert first == make_golden(images.copy(), labels.copy(), {"y": np.asfortranarray(outputs)})
    times = {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(first)).infolist()}
    assert times == {(1980, 1, 1, 0, 0, 0)}


def test_a_bundle_without_golden(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match=r"no golden vectors yet.*edgecnn export"):
        golden(make_bundle(variants=()))


def test_a_variant_without_outputs_of_its_own(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(changes={"fp32": {"golden": None}})
    with pytest.raises(BundleError, match=r"'fp32' .* no expected outputs of its own"):
        expected(bundle, bundle.variant("fp32"))


def npz(**changes: NDArray[Any]) -> bytes:
    arrays: dict[str, NDArray[Any]] = {
        "images": np.zeros((2, 8, 8, 3), np.uint8),
        "labels": np.zeros(2, np.int64),
        "stand_in": np.array(False),
        "output_names": np.array(["logits"]),
        "output_0": np.zeros((2, 4)),
    }
    return make_npz(arrays | changes)


def lying() -> bytes:
    """Give an archive whose images claim a shape that no memory holds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(npz())) as honest, zipfile.ZipFile(buffer, "w") as archive:
        for name in honest.namelist():
            entry = honest.read(name)
            if name == "images.npy":
                entry = entry.replace(
                    b"(2, 8, 8, 3), }" + b" " * 15, b"(2" + b"0" * 15 + b", 8, 8, 3), }"
                )
                assert b"(2000" in entry
            archive.writestr(name, entry)
    return buffer.getvalue()


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([{}], object), labels=np.zeros(1), outputs=np.zeros(1))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip file",
        npz()[:-100],
        pickled(),
        lying(),
        make_npz({"images": np.zeros((2, 8, 8, 3), np.uint8)}),
        npz(images=np.zeros((2, 8, 8, 3), np.float32)),
        npz(images=np.zeros((2, 8, 9, 3), np.uint8)),
        npz(labels=np.zeros(3, np.int64)),
        npz(labels=np.zeros((2, 1), np.int64)),
        npz(output_0=np.zeros((3, 4))),
        npz(output_0=np.zeros((2, 4), np.float32)),
        npz(output_names=np.array([], np.str_)),
        npz(output_names=np.array(["logits", "more"])),
        npz(
            images=np.zeros((0, 8, 8, 3), np.uint8),
            labels=np.zeros(0, np.int64),
            output_0=np.zeros((0, 4)),
        ),
    ],
    ids=[
        "empty",
        "text",
        "truncated",
        "pickle",
        "huge",
        "missing",
        "dtype",
        "size",
        "count",
        "axes",
        "outputs",
        "single",
        "no output",
        "lost output",
        "none",
    ],
)
def test_foreign_content_is_refused(make_bundle: MakeBundle, content: bytes) -> None:
    bundle = make_bundle(variants=())
    files = {bundles.GOLDEN: content}
    manifest = bundle.manifest
    made = bundles.create(bundle.folder, manifest, files, force=True)
    with pytest.raises(BundleError, match=r"golden\.npz cannot be read as golden vectors: .*\."):
        golden(made)


def test_expected_outputs_say_who_computed_them() -> None:
    content = make_expected({"y": np.zeros((1, 2), np.float32)}, runtime="mine", provider="npu")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        assert (str(archive["runtime"]), str(archive["provider"])) == ("mine", "npu")
