from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import edgecnn
from edgecnn.errors import BundleError, InputError
from edgecnn.prediction import Found, stream, to_plain

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


@pytest.fixture
def folder(tiny_net: TinyNet, tmp_path: Path) -> Path:
    """Give a folder of 50 pictures of the net's own size."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(tiny_net.images[:50]):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder


def answers(found: list[Found]) -> list[int]:
    return [each.ranked[0].index for each in found]


def test_a_folders_pictures_are_answered_in_order(
    make_bundle: MakeBundle, tiny_net: TinyNet, folder: Path
) -> None:
    bundle = make_bundle()
    predictions = edgecnn.predict(bundle, folder, top=2, threads=1)
    found = list(predictions.images)
    assert [Path(each.image).name for each in found] == [f"{n:02}.png" for n in range(50)]
    assert answers(found) == tiny_net.exact(tiny_net.images[:50]).argmax(axis=1).tolist()
    assert {len(each.ranked) for each in found} == {2}
    with edgecnn.load(bundle, threads=1) as predictor:
        wanted = predictor.predict(tiny_net.images[:50], top=2)
    assert [each.ranked for each in found] == [each.ranked for each in wanted]
    assert (predictions.variant, predictions.runtime, predictions.provider) == (
        "fp32", "ort", "cpu",
    )  # fmt: skip
    assert predictions.measured == {"fp32.onnx": bundle.files["fp32.onnx"].sha256}


def test_a_broken_picture_is_named_and_the_rest_goes_on(
    make_bundle: MakeBundle, folder: Path
) -> None:
    (folder / "07.png").write_bytes(b"no picture")
    (folder / "20.png").unlink()
    (folder / "20.png").symlink_to("nowhere")
    found = list(edgecnn.predict(make_bundle(), [folder, folder / "none.png"], threads=1).images)
    broken = {Path(each.image).name: each.error for each in found if each.error}
    assert set(broken) == {"07.png", "20.png", "none.png"}
    assert broken["07.png"] == (
        f"{folder / '07.png'} is not an image that can be read: no image format was recognised."
    )
    assert all(bool(each.error) != bool(each.ranked) for each in found)
    whole = list(edgecnn.predict(make_bundle("other"), folder / "08.png", threads=1).images)
    assert found[8] == whole[0]


def test_pictures_are_read_a_few_ahead_and_no_more(
    make_bundle: MakeBundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = stream._read

    def watch(source: Any, **options: Any) -> Any:
        reads.append(source.name)
        return read(source, **options)

    monkeypatch.setattr(stream, "_read", watch)
    predictions = edgecnn.predict(make_bundle(), folder, threads=1, batch_size=6)
    for number, _ in enumerate(predictions.images):
        assert len(reads) == min(50, 6 * (number // 6 + 1))


def test_more_are_read_at_once_than_run_at_once(make_bundle: MakeBundle, folder: Path) -> None:
    bundle = make_bundle()
    few = [list(edgecnn.predict(bundle, folder, threads=2, batch_size=n).images) for n in (1, 7)]
    for one, other in zip(*few, strict=True):
        assert one.ranked[0].probability == pytest.approx(other.ranked[0].probability, abs=1e-6)


def test_each_answer_comes_as_its_path_does(make_bundle: MakeBundle, folder: Path) -> None:
    asked: list[int] = []

    class Writer(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if len(asked) == 3:
                return 0
            line = f"{folder / f'{len(asked):02}.png'}\n".encode()
            asked.append(len(line))
            buffer[: len(line)] = line
            return len(line)

    given = io.BufferedReader(Writer())
    predictions = edgecnn.predict(make_bundle(), "-", stdin=given, threads=1)
    for number, found in enumerate(predictions.images, 1):
        assert found.ranked
        assert len(asked) == number


def test_a_picture_on_stdin(make_bundle: MakeBundle, tiny_net: TinyNet, folder: Path) -> None:
    given = io.BufferedReader(io.BytesIO((folder / "03.png").read_bytes()))
    (found,) = edgecnn.predict(make_bundle(), ["-"], stdin=given, threads=1).images
    assert found.image == "-"
    assert answers([found]) == tiny_net.exact(tiny_net.images[3:4]).argmax(axis=1).tolist()


def test_an_animations_first_frame_is_told(
    make_bundle: MakeBundle, tiny_net: TinyNet, tmp_path: Path
) -> None:
    frames = [Image.fromarray(image) for image in tiny_net.images[:3]]
    path = tmp_path / "moving.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    (found,) = edgecnn.predict(make_bundle(), path, threads=1).images
    assert found.notes == ("Only the first of its frames was read.",)
    assert answers([found]) == tiny_net.exact(tiny_net.images[:1]).argmax(axis=1).tolist()


def test_the_limit_on_pixels(make_bundle: MakeBundle, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (100, 50)).save(path)
    (found,) = edgecnn.predict(make_bundle(), path, max_pixels=4999).images
    assert "more than 4,999 pixels" in found.error
    (found,) = edgecnn.predict(make_bundle("other"), path, max_pixels=5000).images
    assert found.ranked


def test_pillows_own_limit_gives_way_while_reading(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (100, 50)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for found in edgecnn.predict(make_bundle(), path, max_pixels=5000).images:
        assert found.ranked
        assert Image.MAX_IMAGE_PIXELS == 1000  # also between two pictures


def test_outputs_that_are_no_classes_come_as_they_are(
    make_bundle: MakeBundle, tiny_net: TinyNet, folder: Path
) -> None:
    bundle = make_bundle()
    contract = replace(bundle.manifest.contract, output_kind="other", labels=())
    bundle = replace(bundle, manifest=replace(bundle.manifest, contract=contract))
    found = next(edgecnn.predict(bundle, folder, threads=1).images)
    assert found.ranked == ()
    np.testing.assert_allclose(
        found.outputs["logits"], tiny_net.exact(tiny_net.images[:1])[0], atol=1e-4
    )
    plain = to_plain(found).outputs["logits"]
    assert (plain.shape, plain.dtype) == ((4,), "float32")
    assert plain.values == found.outputs["logits"].tolist()


def test_a_bundle_without_fp32_answers_with_what_it_has(
    make_bundle: MakeBundle, folder: Path
) -> None:
    bundle = make_bundle(variants=("int8",), changes={"int8": {"parent": None}})
    predictions = edgecnn.predict(bundle, folder / "00.png", threads=1)
    assert predictions.variant == "int8"
    assert next(predictions.images).ranked


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"top": 0}, InputError, "top=0"),
        ({"max_pixels": 0}, InputError, "max_pixels=0"),
        ({"batch_size": 0}, InputError, "batch of 0"),
        ({"variant": "int4"}, BundleError, "no variant 'int4'"),
        ({"runtime": "ortt"}, InputError, "no runtime 'ortt'"),
    ],
)
def test_wrong_wishes_are_refused_before_any_picture(
    make_bundle: MakeBundle, asked: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        edgecnn.predict(make_bundle(), "none.png", **asked)


def test_a_bundle_without_variants_says_how_to_get_one(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match="edgecnn export"):
        edgecnn.predict(make_bundle(variants=()), "none.png")


def test_the_session_is_closed_at_the_end(
    make_bundle: MakeBundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, closed = make_bundle(), list[bool]()
    monkeypatch.setattr(edgecnn.Predictor, "close", lambda predictor: closed.append(True))
    images: Iterator[Found] = edgecnn.predict(bundle, folder, threads=1).images
    next(images)
    assert not closed
    list(images)
    assert closed == [True]
