from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgecnn
from edgecnn import bundle as bundles
from edgecnn.data import Dataset, Split
from edgecnn.errors import BundleError, DataError, InputError, ModelError
from edgecnn.evaluation import bundle_data, compare_answers
from edgecnn.golden import make_npz
from edgecnn.stats import tango, wilson

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from tests.conftest import MakeBundle, TinyNet

CLASSES = ("circle", "cross", "square", "star")


def dataset(net: TinyNet, labels: tuple[str, ...] = CLASSES) -> Dataset:
    train = Split(net.images[:80], net.labels[:80])
    return Dataset("tiny", "here", labels, train, Split(net.images[80:], net.labels[80:]))


def test_accuracy_by_hand(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle(variants=("fp32",))
    found = edgecnn.evaluate(bundle, data=dataset(tiny_net), threads=1)
    labels = tiny_net.labels[80:]
    answers = tiny_net.exact(tiny_net.images[80:]).argmax(axis=1)
    correct = int((labels == answers).sum())
    assert 60 < correct < 120
    (variant,) = found.variants
    assert (variant.images, variant.correct) == (120, correct)
    assert variant.accuracy == wilson(correct, 120)
    for true in range(4):
        for answer in range(4):
            count = int(((labels == true) & (answers == answer)).sum())
            assert variant.confusion[true][answer] == count
    for index, each in enumerate(variant.classes):
        assert (each.label, each.images) == (CLASSES[index], int((labels == index).sum()))
        assert each.correct == int(((labels == index) & (answers == index)).sum())
        assert each.accuracy == wilson(each.correct, each.images)
    assert (found.split, found.images, found.comparisons) == ("test", 120, ())
    assert found.split_sha256 == dataset(tiny_net).test.sha256
    assert found.measured == {"fp32.onnx": bundle.files["fp32.onnx"].sha256}


def test_variants_on_the_same_images(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    worse = replace(tiny_net, bias=tiny_net.bias + np.array([4, 0, 0, 0], np.float32))
    bundle = make_bundle(files={"int8": worse.onnx("int8")})
    found = edgecnn.evaluate(bundle, data=dataset(tiny_net))
    images, labels = tiny_net.images[80:], tiny_net.labels[80:]
    with edgecnn.load(bundle) as fp32, edgecnn.load(bundle, variant="int8") as int8:
        first, second = (each.run(images).argmax(axis=1) for each in (fp32, int8))
    b = int(((first == labels) & (second != labels)).sum())
    c = int(((first != labels) & (second == labels)).sum())
    assert b > 0
    (pair,) = found.comparisons
    assert (pair.first, pair.second, pair.only_first, pair.only_second) == ("fp32", "int8", b, c)
    assert pair.same == (first == second).mean()
    assert pair.drop == tango(b, c, 120)
    for index, each in enumerate(found.variants[1].classes):
        assert each.correct == int(((second == index) & (labels == index)).sum())
    accuracies = [variant.accuracy.estimate for variant in found.variants]
    assert pair.drop.estimate == pytest.approx(accuracies[0] - accuracies[1])


def test_the_first_named_is_compared_with(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    found = edgecnn.evaluate(make_bundle(), ["int8", "fp32"], dataset(tiny_net), "train")
    assert [variant.name for variant in found.variants] == ["int8", "fp32"]
    assert (found.comparisons[0].first, found.images) == ("int8", 80)


def test_compare_answers_by_hand() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    first, second = np.array([0, 0, 1, 0, 1]), np.array([0, 1, 1, 1, 1])
    pair = compare_answers("a", "b", first, second, labels)
    assert (pair.only_first, pair.only_second, pair.same) == (1, 1, 0.6)
    assert pair.drop == tango(1, 1, 5)


def test_runtimes_and_batches_agree(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle, data = make_bundle(), dataset(tiny_net)
    wanted = edgecnn.evaluate(bundle, data=data)
    other = edgecnn.evaluate(bundle, data=data, runtime="reference", batch_size=7)
    assert [each.confusion for each in other.variants] == [
        each.confusion for each in wanted.variants
    ]
    assert {(each.runtime, each.provider) for each in other.variants} == {("reference", "cpu")}


def test_progress_is_told(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    told: list[tuple[str, float]] = []
    edgecnn.evaluate(
        make_bundle(),
        data=dataset(tiny_net),
        batch_size=50,
        progress=lambda what, share: told.append((what, share)),
    )
    assert [what for what, _ in told] == ["fp32"] * 3 + ["int8"] * 3
    assert [share for _, share in told[:3]] == pytest.approx([50 / 120, 100 / 120, 1])


def test_notes_on_the_data_are_kept(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    data = replace(dataset(tiny_net), notes=("3 images were left out.",))
    assert edgecnn.evaluate(make_bundle(), data=data).notes == ("3 images were left out.",)


def test_the_bundles_own_data(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    found = edgecnn.evaluate(make_bundle())
    assert (found.data, found.images) == ("tiny", 120)
    assert found.split_sha256 == dataset(tiny_net).test.sha256


def save(path: Path, data: Dataset) -> Path:
    arrays: dict[str, NDArray[Any]] = {"x_train": data.train.images, "y_train": data.train.labels}
    arrays |= {"x_test": data.test.images, "y_test": data.test.labels}
    path.write_bytes(make_npz(arrays | {"labels": np.array(data.labels)}))
    return path


def changed(net: TinyNet) -> Dataset:
    data = dataset(net)
    labels = data.test.labels.copy()
    labels[0] = (labels[0] + 1) % 4
    return replace(data, test=Split(data.test.images, labels))


def test_data_that_changed_is_refused_unless_named(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    bundle = make_bundle()
    own = bundle.manifest.data
    assert own is not None
    save(Path(own.source), changed(tiny_net))
    with pytest.raises(DataError, match=r"The test images or labels of .*tiny\.npz changed"):
        bundle_data(bundle)
    assert bundle_data(bundle, own.source).test.sha256 == changed(tiny_net).test.sha256


def test_data_that_is_gone(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    assert bundle.manifest.data is not None
    Path(bundle.manifest.data.source).unlink()
    with pytest.raises(DataError, match=r"tiny\.npz"):
        bundle_data(bundle)


def without_data(bundle: Bundle) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, data=None))


def test_a_bundle_without_data_names_the_flag(make_bundle: MakeBundle) -> None:
    with pytest.raises(DataError, match=r"has no data of its own.*--data FOLDER"):
        edgecnn.evaluate(without_data(make_bundle()))


def test_other_data_is_matched_by_name(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path
) -> None:
    """Classes in another order, and one of them absent, keep their meaning."""
    bundle, data = make_bundle(variants=("fp32",)), dataset(tiny_net)
    wanted = edgecnn.evaluate(bundle, data=data).variants[0]
    places = np.array([2, 0, 3, 1])
    order = tuple(CLASSES[index] for index in np.argsort(places))
    swapped = replace(data, labels=order, test=Split(data.test.images, places[data.test.labels]))
    other = save(tmp_path / "other.npz", swapped)
    assert edgecnn.evaluate(without_data(bundle), data=other).variants[0] == wanted

    few = data.test.take(np.flatnonzero(data.test.labels == 3))
    only = replace(data, labels=("star",), test=Split(few.images, few.labels * 0))
    only = replace(only, train=Split(few.images, few.labels * 0))
    found = edgecnn.evaluate(bundle, data=save(tmp_path / "only.npz", only)).variants[0]
    assert found.classes[3] == wanted.classes[3]
    assert (found.classes[0].images, found.classes[0].accuracy) == (0, None)


def test_unknown_classes_are_refused(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path
) -> None:
    names = ("circle", "cross", "square", "hexagon")
    other = save(tmp_path / "other.npz", dataset(tiny_net, names))
    with pytest.raises(DataError, match=r"hexagon, which .*tiny does not know; it knows circle"):
        bundle_data(make_bundle(), other)


def test_outputs_that_are_no_classes(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    contract = replace(bundle.manifest.contract, output_kind="other")
    other = replace(bundle, manifest=replace(bundle.manifest, contract=contract))
    with pytest.raises(InputError, match=r"are not classes.*edgecnn parity"):
        edgecnn.evaluate(other, data=dataset(tiny_net))


def test_outputs_that_are_not_finite(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = replace(tiny_net, bias=np.full(4, np.nan, np.float32))
    bundle = make_bundle(variants=("fp32",), files={"fp32": broken.onnx()})
    with pytest.raises(ModelError, match="finite score for each of 4 classes"):
        edgecnn.evaluate(bundle, data=dataset(tiny_net))


def test_more_classes_than_outputs(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    data = dataset(tiny_net, (*CLASSES, "hexagon"))
    with pytest.raises(ModelError, match="for each of 5 classes"):
        edgecnn.evaluate(make_bundle(), data=data)


def test_an_empty_split(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    data = dataset(tiny_net)
    empty = replace(data, test=data.test.take(np.arange(0)))
    with pytest.raises(DataError, match="test split of here is empty"):
        edgecnn.evaluate(make_bundle(), data=empty)


def test_a_bundle_without_variants(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    with pytest.raises(BundleError, match="has no variant 'fp32'; it has none yet"):
        edgecnn.evaluate(make_bundle(variants=()), data=dataset(tiny_net))


def test_a_flipped_bit_is_found(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle()
    file = bundle.folder / "int8.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    with pytest.raises(BundleError, match=r"int8\.onnx is not the file that was written"):
        edgecnn.evaluate(bundles.open_bundle(bundle.folder), data=dataset(tiny_net))
