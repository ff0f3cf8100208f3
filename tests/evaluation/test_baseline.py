"""A baseline answers the same images, and gates are judged on the pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import edgecnn
from edgecnn.data import Dataset, Split
from edgecnn.errors import DataError, InputError
from edgecnn.stats import Interval, tango
from tests.conftest import CONTRACT

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


def worse(net: TinyNet, by: float = 4) -> bytes:
    return replace(net, bias=net.bias + np.array([by, 0, 0, 0], np.float32)).onnx()


def test_a_loss_is_found_in_pairs(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    old = make_bundle("old")
    new = make_bundle("new", variants=("fp32",), files={"fp32": worse(tiny_net)})
    gates = ["accuracy < -0.5pp", "accuracy < 1%", "agreement < 0.99"]
    found = edgecnn.evaluate(new, baseline=old.folder, fail_if=gates, threads=1)
    images, labels = tiny_net.images[80:], tiny_net.labels[80:]
    with edgecnn.load(old) as first, edgecnn.load(new) as second:
        right, also = (each.run(images).argmax(axis=1) == labels for each in (first, second))
    b, c = int((right & ~also).sum()), int((also & ~right).sum())
    assert b > 20
    assert found.baseline is not None
    (pair,) = found.baseline.comparisons
    assert (pair.first, pair.second) == ("baseline fp32", "fp32")
    assert (pair.only_first, pair.only_second, pair.drop) == (b, c, tango(b, c, 120))
    assert found.baseline.variants[0].correct == int(right.sum())
    assert found.baseline.measured == {"fp32.onnx": old.files["fp32.onnx"].sha256}
    assert found.measured == {"fp32.onnx": new.files["fp32.onnx"].sha256}
    assert [result.outcome for result in found.gates] == ["fail", "pass", "fail"]
    change = Interval(-pair.drop.estimate, -pair.drop.high, -pair.drop.low)
    assert (found.gates[0].estimate, found.gates[0].low, found.gates[0].high) == (
        change.estimate,
        change.low,
        change.high,
    )


def test_the_same_model_passes(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old"), make_bundle("new")
    found = edgecnn.evaluate(new, baseline=old, fail_if=["accuracy < -5pp"], threads=1)
    assert [(one.variant, one.outcome) for one in found.gates] == [
        ("fp32", "pass"),
        ("int8", "pass"),
    ]


def test_few_images_prove_little(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old"), make_bundle("new")
    gates = ["accuracy < -0.5pp"]
    found = edgecnn.evaluate(new, ["fp32"], baseline=old, fail_if=gates, threads=1)
    assert found.gates[0].outcome == "inconclusive"  # 120 images cannot rule out half a point
    assert found.gates[0].believed


def test_a_variant_that_the_baseline_lacks_is_not_passed(make_bundle: MakeBundle) -> None:
    old, new = make_bundle("old", variants=("fp32",)), make_bundle("new")
    found = edgecnn.evaluate(new, baseline=old, fail_if=["int8: accuracy < -5pp"], threads=1)
    (result,) = found.gates
    assert (result.outcome, result.believed) == ("inconclusive", False)
    assert "has no such variant" in result.reason
    with pytest.raises(InputError, match="has none of the variants int8"):
        edgecnn.evaluate(new, ["int8"], baseline=old)


def test_the_baseline_may_take_its_images_in_another_form(make_bundle: MakeBundle) -> None:
    new = make_bundle("new")
    old = make_bundle("old", contract=replace(CONTRACT, resize="crop 8"))
    found = edgecnn.evaluate(new, baseline=old, threads=1)
    assert found.baseline is not None
    assert found.baseline.comparisons[0].same == 1
    with pytest.raises(DataError, match="takes images in another form"):
        edgecnn.evaluate(new, data=_as_arrays(found.source), baseline=old, threads=1)


def _as_arrays(source: str) -> Dataset:
    stored = np.load(Path(source))
    train = Split(stored["x_train"], stored["y_train"])
    test = Split(stored["x_test"], stored["y_test"])
    return Dataset("tiny", source, CONTRACT.labels, train, test)


def test_other_classes_cannot_be_compared(make_bundle: MakeBundle) -> None:
    other = replace(CONTRACT, labels=tuple(reversed(CONTRACT.labels)))
    old = make_bundle("old", contract=other)
    with pytest.raises(InputError, match="do not tell the same classes apart"):
        edgecnn.evaluate(make_bundle("new"), baseline=old)


def test_gates_are_refused_before_any_data_is_read(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle, nowhere = make_bundle(), tmp_path / "nowhere"
    for gate, said in (
        ("accuracy < 5ms", "is no limit of accuracy"),
        ("accuracy < -1pp", "none is named"),
        ("int4: accuracy < 0.5", "which is not measured"),
    ):
        with pytest.raises(InputError, match=said):
            edgecnn.evaluate(bundle, data=nowhere, fail_if=[gate])
