from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import edgecnn
from edgecnn.data import Dataset, Split
from edgecnn.evaluation import EvalReport, worst
from edgecnn.evaluation.worst import Said, confidence_bins, disagreements, mistakes, pictures
from edgecnn.predictor import softmax
from edgecnn.records import from_builtins, to_builtins

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet

LABELS = np.array([0, 0, 1, 1, 2])


def said(rows: list[list[float]], name: str = "fp32") -> Said:
    probabilities = np.array(rows, np.float32)
    return Said(name, probabilities, probabilities.argmax(axis=1))


FIRST = said([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0], [1.0, 0.0, 0.0]])
SECOND = said(
    [[0.4, 0.5, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]], "int8"
)


def test_the_surest_mistake_comes_first() -> None:
    found = mistakes(FIRST, LABELS)
    assert (found.variant, found.count) == ("fp32", 3)
    assert [one.index for one in found.worst] == [4, 1, 2]
    second = found.worst[1]
    assert second.answer == 1
    assert second.probability == pytest.approx(0.7)
    assert second.label_probability == pytest.approx(0.2)


def test_other_answers_come_before_other_probabilities() -> None:
    found = disagreements(FIRST, SECOND)
    assert (found.first, found.second, found.count) == ("fp32", "int8", 3)
    # The last one thinks more differently than two before it, and still answers the same;
    # the image of which both think alike is left out.
    assert [one.index for one in found.worst] == [4, 0, 2, 3]
    assert [one.distance for one in found.worst] == pytest.approx([1.0, 0.2, 0.1, 0.3])
    one = found.worst[1]
    assert (one.first_answer, one.second_answer) == (0, 1)
    assert one.first_probability == pytest.approx(0.6)
    assert one.second_probability == pytest.approx(0.5)


def test_distances_are_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = disagreements(FIRST, SECOND)
    monkeypatch.setattr(worst, "_ROWS_AT_ONCE", 2)
    assert disagreements(FIRST, SECOND) == whole


def test_no_more_images_than_a_reader_looks_at() -> None:
    many = said([[0.1 + index / 100, 0.9 - index / 100] for index in range(30)])
    found = mistakes(many, np.zeros(30, np.int64))
    assert (found.count, len(found.worst)) == (30, worst.MOST_IMAGES)


def test_confidence_by_hand() -> None:
    bins = confidence_bins(FIRST, LABELS)
    assert [(one.images, one.correct) for one in bins] == [(0, 0)] * 5 + [
        (1, 0),
        (1, 1),
        (1, 0),
        (0, 0),
        (2, 1),  # 0.9, and 1, which has no bin of its own
    ]
    assert (bins[9].low, bins[9].high) == (0.9, 1.0)
    assert bins[9].confidence == pytest.approx(0.95)
    assert bins[0].confidence == 0.0


def test_pictures_are_the_images(tiny_net: TinyNet) -> None:
    split = Split(tiny_net.images, tiny_net.labels)
    found = mistakes(said([[1.0, 0.0]] * 3), np.array([0, 1, 1]))
    kept = pictures(split, "rgb", [found, found])
    assert [one.index for one in kept] == [1, 2]
    image = tiny_net.images[1]
    shown = Image.open(io.BytesIO(base64.b64decode(kept[0].png)))
    assert (np.asarray(shown) == image).all()
    assert kept[0].sha256 == hashlib.sha256(image.tobytes()).hexdigest()
    assert kept[0].label == tiny_net.labels[1]


def test_large_pictures_are_small_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 100, 200, 3), np.uint8)
    split = Split(images, np.zeros(4, np.int64))
    first = mistakes(said([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [1.0, 0.0]]), split.labels)
    second = mistakes(said([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 0.9]]), split.labels)
    (one, *_) = pictures(split, "rgb", [first])
    assert Image.open(io.BytesIO(base64.b64decode(one.png))).size == (64, 32)
    monkeypatch.setattr(worst, "MOST_BYTES", 2 * len(one.png) + len(one.png) // 2)
    kept = pictures(split, "rgb", [first, second])
    assert [bool(each.png) for each in kept] == [True, False, True, False]
    assert all(each.sha256 for each in kept)


def test_everything_together_fits_a_report() -> None:
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 256, (48, 224, 224, 3), np.uint8), np.zeros(48, np.int64))
    rows = [[0.0, 1.0]] * 24 + [[1.0, 0.0]] * 24
    lists = [mistakes(said(each), split.labels) for each in (rows, rows[::-1])]
    kept = pictures(split, "rgb", lists)
    assert len(kept) == 48
    assert 250_000 < sum(len(one.png) for one in kept) <= worst.MOST_BYTES


@pytest.mark.parametrize("color", ["gray", "bgr"])
def test_colours_are_as_people_see_them(color: str) -> None:
    channels = 1 if color == "gray" else 3
    pixels = np.full((1, 8, 8, channels), 7, np.uint8)
    pixels[..., 0] = 200  # the blue of BGR
    split = Split(pixels, np.zeros(1, np.int64))
    (one,) = pictures(split, color, [mistakes(said([[0.0, 1.0]]), split.labels)])  # type: ignore[arg-type]
    shown = Image.open(io.BytesIO(base64.b64decode(one.png)))
    assert (shown.mode, shown.getpixel((0, 0))) == (
        ("L", 200) if color == "gray" else ("RGB", (7, 7, 200))
    )


def test_an_evaluation_keeps_them(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    other = replace(tiny_net, bias=tiny_net.bias + np.array([4, 0, 0, 0], np.float32))
    test = Split(tiny_net.images[80:], tiny_net.labels[80:])
    labels = ("circle", "cross", "square", "star")
    data = Dataset("tiny", "here", labels, Split(tiny_net.images[:80], tiny_net.labels[:80]), test)
    found = edgecnn.evaluate(make_bundle(files={"int8": other.onnx("int8")}), data=data, threads=1)
    fp32, _ = found.mistakes
    assert fp32.count == 120 - found.variants[0].correct
    exact = softmax(tiny_net.exact(test.images))
    one = fp32.worst[0]
    assert one.probability == pytest.approx(exact[one.index].max(), abs=1e-5)
    (pair,) = found.disagreements
    assert pair.count == round(120 * (1 - found.comparisons[0].same))
    named = {each.index for lists in found.mistakes for each in lists.worst}
    named |= {each.index for each in pair.worst}
    assert {picture.index for picture in found.pictures} == named
    assert sum(each.images for each in found.variants[1].confidence) == 120
    assert from_builtins(EvalReport, to_builtins(found), where="here") == found


def test_a_report_of_version_1_is_read(make_bundle: MakeBundle) -> None:
    body = to_builtins(edgecnn.evaluate(make_bundle(variants=("fp32",)), threads=1))
    for name in ("mistakes", "disagreements", "pictures"):
        del body[name]
    del body["variants"][0]["confidence"]
    assert from_builtins(EvalReport, body, where="here").mistakes == ()
