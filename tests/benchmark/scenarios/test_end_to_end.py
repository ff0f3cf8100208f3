"""From an image file to the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.benchmark.scenarios.end_to_end import (
    EndToEndTurn,
    Pictures,
    answer_files,
    encoded_pictures,
    end_to_end,
    named_pictures,
)
from edgecnn.errors import DataError
from edgecnn.images import decode
from edgecnn.spec import InputContract
from edgecnn.worker import Prepared

if TYPE_CHECKING:
    from tests.conftest import TinyNet

CONTRACT = InputContract(8, 8)


def test_the_models_own_images_become_real_files(tiny_net: TinyNet, tmp_path: Path) -> None:
    pictures = encoded_pictures(tiny_net.images, CONTRACT, tmp_path)
    assert len(pictures.files) == 8
    assert "JPEG, 8 x 8" in pictures.what
    with Image.open(pictures.files[0]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (8, 8))
    near = decode(pictures.files[0], CONTRACT).astype(int) - tiny_net.images[0]
    assert abs(near).mean() < 30  # JPEG blurs noise, and no more


def test_channels_the_other_way_round_are_turned_back(tmp_path: Path) -> None:
    contract = InputContract(8, 8, color="bgr")
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[..., 0] = 255  # blue, as this model sees it
    (file,) = encoded_pictures(pixels, contract, tmp_path).files
    with Image.open(file) as picture:
        red, _, blue = picture.getpixel((4, 4))  # type: ignore[misc]
    assert blue > 200 > 50 > red


def test_files_are_named_with_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    Image.new("RGB", (40, 30), "red").save(file)
    pictures = named_pictures([file], CONTRACT)
    assert pictures.what == "cat.png (PNG, 40 x 30)"
    assert pictures.files == (file,)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_text("not a cat")
    with pytest.raises(DataError, match=r"cat\.jpg is not an image"):
        named_pictures([tmp_path / "cat.jpg"], CONTRACT)
    with pytest.raises(DataError, match="Check the path"):
        named_pictures([tmp_path / "none.jpg"], CONTRACT)


@pytest.mark.parametrize("batch", [1, 2])
def test_the_worker_times_every_part(prepared: Prepared, tmp_path: Path, batch: int) -> None:
    file = tmp_path / "large.jpg"
    Image.effect_noise((200, 300), 50).convert("RGB").save(file)
    turn = answer_files(
        prepared, files=[file], contract=CONTRACT, batch_size=batch, seconds=0.02, replicate=1
    )
    lists = (turn.decode_ns, turn.resize_ns, turn.input_ns, turn.run_ns, turn.model_ns)
    assert {len(times) for times in lists} == {len(turn.total_ns)}
    assert len(turn.total_ns) >= 5
    assert min(min(times) for times in lists) > 0
    assert turn.total_ns[0] == sum(times[0] for times in lists[:4])


def test_the_figures() -> None:
    one = EndToEndTurn(0, [10] * 3, [5] * 3, [1] * 3, [4] * 3, [2] * 3)
    other = EndToEndTurn(1, [10] * 3, [5] * 3, [1] * 3, [4] * 3, [2] * 3)
    found = end_to_end("fp32", Pictures((), "cats"), [one, other])
    assert (found.answers, found.pictures) == (6, "cats")
    assert found.total_seconds == pytest.approx(20e-9)
    parts = (found.decode_seconds, found.resize_seconds, found.input_seconds, found.run_seconds)
    assert parts == pytest.approx((10e-9, 5e-9, 1e-9, 4e-9))
    assert found.model_seconds == pytest.approx(2e-9)
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(10)
