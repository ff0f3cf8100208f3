from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data import Dataset, load_dataset
from edgecnn.disk import cache_folder
from edgecnn.errors import DataError
from edgecnn.spec import InputContract

CONTRACT = InputContract(6, 5)


def draw(path: Path, seed: int, size: tuple[int, int] = (5, 6)) -> None:
    """Write a picture of noise; lossless unless the name says JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    kind = "JPEG" if path.suffix.lower() in {".jpg", ".jpeg"} else None
    Image.fromarray(pixels).save(path, kind)


def fill(root: Path, parts: Sequence[str], classes: Sequence[str], each: int = 3) -> Path:
    for number, part in enumerate(parts):
        for label in classes:
            for index in range(each):
                seed = index + 100 * number + 1000 * classes.index(label)
                draw(root / part / label / f"{index}.png", seed)
    return root


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Give train/ and test/ with three images of three classes each."""
    return fill(tmp_path / "pets", ["train", "test"], ["dog", "cat", "Emu"])


def pixels_of(path: Path) -> bytes:
    return np.asarray(Image.open(path)).tobytes()


def where(data: Dataset) -> dict[bytes, tuple[str, str]]:
    """Tell split and class of each image by its pixels."""
    return {
        image.tobytes(): (name, data.labels[label])
        for name, split in (("train", data.train), ("test", data.test))
        for image, label in zip(split.images, split.labels, strict=True)
    }


def test_each_image_gets_its_folders_label_and_split(pets: Path) -> None:
    data = load_dataset(pets, CONTRACT)
    assert (data.name, data.source) == ("pets", str(pets))
    assert data.labels == ("Emu", "cat", "dog")
    assert (len(data.train), len(data.test), data.notes) == (9, 9, ())
    found = where(data)
    for path in pets.glob("*/*/*.png"):
        assert found[pixels_of(path)] == (path.parts[-3], path.parts[-2])


def test_val_is_a_test_split_too_but_test_goes_first(pets: Path) -> None:
    (pets / "test").rename(pets / "val")
    assert load_dataset(pets, CONTRACT).notes == ()
    fill(pets, ["test"], ["cat", "dog", "Emu"], each=2)
    data = load_dataset(pets, CONTRACT)
    assert len(data.test) == 6
    assert data.notes[0] == f"{pets / 'val'} was not used; train/ and test/ were."


def test_one_folder_is_split_class_by_class_by_content(tmp_path: Path) -> None:
    root = fill(tmp_path / "all", [""], ["a", "b"], each=10)
    data = load_dataset(root, CONTRACT, test_fraction=0.3)
    assert np.bincount(data.train.labels).tolist() == [7, 7]
    assert np.bincount(data.test.labels).tolist() == [3, 3]
    sides = where(data)
    for path in root.glob("*/*.png"):  # neither name, nor size of the input, nor seed matter
        path.rename(path.with_name(f"x{99 - int(path.stem)}.PNG"))
    again = load_dataset(root, CONTRACT, test_fraction=0.3, seed=5)
    assert where(again) == sides
    larger = load_dataset(root, InputContract(12, 10, filter="nearest"), test_fraction=0.3)
    halved = {image[::2, ::2].tobytes() for image in larger.test.images}
    assert halved == {image.tobytes() for image in data.test.images}


def test_copies_of_an_image_stay_on_one_side(tmp_path: Path) -> None:
    root = fill(tmp_path / "all", [""], ["a", "b"], each=6)
    for path in list(root.glob("*/*.png")):
        for copy in range(3):
            shutil.copy(path, path.with_name(f"copy{copy}-{path.name}"))
    data = load_dataset(root, CONTRACT, test_fraction=0.5)
    assert (len(data.train), len(data.test), data.notes) == (24, 24, ())


def test_images_in_both_splits_are_noted(pets: Path) -> None:
    shutil.copy(pets / "train/cat/0.png", pets / "test/cat/9.png")
    assert load_dataset(pets, CONTRACT).notes[0].startswith("1 of 10 test images are training")


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    root = fill(tmp_path / "all", [""], ["a", "b"])
    for path in list((root / "b").glob("*.png"))[1:]:
        path.unlink()
    with pytest.raises(DataError, match="'b' has 1 different images, too few to split"):
        load_dataset(root, CONTRACT)


def test_any_case_suffix_depth_and_link_is_found(pets: Path, tmp_path: Path) -> None:
    draw(pets / "train/cat/a.JPG", 9100)
    draw(pets / "train/cat/deep/deeper/b.Jpeg", 9101)
    draw(tmp_path / "elsewhere/c.png", 9102)
    (pets / "train/cat/linked").symlink_to(tmp_path / "elsewhere")
    (pets / "train/cat/loop").symlink_to(pets / "train/cat")
    data = load_dataset(pets, CONTRACT)
    assert (len(data.train), data.notes) == (12, ())


def test_hidden_files_do_not_count_and_others_are_noted(pets: Path) -> None:
    (pets / "train/.DS_Store").write_bytes(b"x")
    (pets / ".git").mkdir()
    (pets / "train/.hidden").mkdir()
    (pets / "train/cat/.0.png.swp").write_bytes(b"x")
    draw(pets / "train/cat/.hidden.png", 9100)
    assert load_dataset(pets, CONTRACT).notes == ()
    (pets / "train/cat/notes.txt").write_text("x")
    draw(pets / "test/loose.png", 9101)
    assert load_dataset(pets, CONTRACT).notes == (
        "1 files are not images and were left out: train/cat/notes.txt.",
        "1 images lie in no class folder and were left out: test/loose.png.",
    )


def test_a_labels_file_orders_the_classes(pets: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufeffdog\r\nEmu\n\n cat \n", encoding="utf-8")
    data = load_dataset(pets, CONTRACT, labels_file=file)
    assert data.labels == ("dog", "Emu", "cat")
    assert data.reference().labels_file == str(file)
    by_name = load_dataset(pets, CONTRACT)
    assert where(data) == where(by_name)
    assert data.train.sha256 != by_name.train.sha256


def test_a_model_that_knows_the_classes_orders_them(pets: Path, tmp_path: Path) -> None:
    contract = InputContract(6, 5, labels=("dog", "Emu", "cat"))
    gone = tmp_path / "no-longer-there.txt"
    assert load_dataset(pets, contract, labels_file=gone).labels == contract.labels


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dog\ncat\n", "'Emu' is in the data alone"),
        ("dog\ncat\nEmu\nowl\n", "'owl' is in the file alone"),
        ("dog\ncat\nEmu\ndog\n", "names dog more than once"),
        ("\n\n", "is empty"),
    ],
)
def test_a_labels_file_must_name_each_class_once(
    text: str, problem: str, pets: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=problem):
        load_dataset(pets, CONTRACT, labels_file=tmp_path / "labels.txt")


def test_a_labels_file_must_be_readable_text(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.bin").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("none.txt", "No such file"), ("labels.bin", "it is not UTF-8 text")):
        with pytest.raises(DataError, match=reason):
            load_dataset(pets, CONTRACT, labels_file=tmp_path / name)


def test_folders_that_are_no_data_set_are_refused(pets: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    draw(tmp_path / "flat/0.png", 0)
    only_test = fill(tmp_path / "only", ["test"], ["cat", "dog"])
    cases = {
        empty: "has no class folders",
        tmp_path / "flat": "has no class folders",
        only_test: "has test/ but no train/",
        pets / "train/cat": "has no class folders",
    }
    for folder, problem in cases.items():
        with pytest.raises(DataError, match=problem):
            load_dataset(folder, CONTRACT)
    shutil.rmtree(pets / "test")
    with pytest.raises(DataError, match="has train/ but neither test/ nor val/") as error:
        load_dataset(pets, CONTRACT)
    assert f"--data {pets / 'train'}" in error.value.remedy
    assert len(load_dataset(pets / "train", CONTRACT).test) == 3


def test_classes_must_be_the_same_on_both_sides_and_not_empty(pets: Path) -> None:
    (pets / "test/owl").mkdir()
    with pytest.raises(DataError, match="train lacks the classes owl"):
        load_dataset(pets, CONTRACT)
    (pets / "train/owl").mkdir()
    with pytest.raises(DataError, match=r"no images in the class folders owl of .*train"):
        load_dataset(pets, CONTRACT)
    draw(pets / "train/owl/0.png", 9200)
    with pytest.raises(DataError, match=r"no images in the class folders owl of .*test"):
        load_dataset(pets, CONTRACT)


def break_some(pets: Path) -> None:
    draw(pets / "train/dog/whole.jpg", 5, size=(64, 64))
    content = (pets / "train/dog/whole.jpg").read_bytes()
    (pets / "train/dog/half.jpg").write_bytes(content[: len(content) // 2])
    (pets / "test/cat/empty.png").write_bytes(b"")
    (pets / "test/cat/nowhere.png").symlink_to(pets / "gone.png")


def test_broken_images_are_named_all_at_once(pets: Path) -> None:
    break_some(pets)
    kept = set(cache_folder().glob("*"))
    for _ in range(2):
        with pytest.raises(DataError, match=r"3 of 22 images in .* are broken") as error:
            load_dataset(pets, CONTRACT)
        assert "train/dog/half.jpg is not an image that can be read: " in error.value.problem
        assert "test/cat/empty.png is not an image" in error.value.problem
        assert "test/cat/nowhere.png cannot be read: No such file" in error.value.problem
        assert "--skip-broken" in error.value.remedy
    assert set(cache_folder().glob("*")) == kept  # an unreadable file may be readable tomorrow
    for number in range(20):
        (pets / f"train/cat/bad{number}.png").write_bytes(b"?")
    with pytest.raises(DataError, match=r"23 of 42 images .* And 18 more\."):
        load_dataset(pets, CONTRACT)


def test_broken_images_are_left_out_when_asked_and_then_said(pets: Path) -> None:
    sound = where(load_dataset(pets, CONTRACT))
    break_some(pets)
    (pets / "test/cat/nowhere.png").unlink()
    for _ in range(2):  # decoded, then from the cache
        data = load_dataset(pets, CONTRACT, skip_broken=True)
        assert data.notes == (
            "2 of 21 images are broken and were left out: train/dog/half.jpg, test/cat/empty.png.",
        )
        assert sound.items() <= where(data).items()
        assert (len(data.train), len(data.test)) == (10, 9)
        assert data.reference().skip_broken
    with pytest.raises(DataError, match="2 of 21 images"):
        load_dataset(pets, CONTRACT)


def test_a_class_without_sound_images_is_an_error(pets: Path) -> None:
    for path in (pets / "test/cat").iterdir():
        path.write_bytes(b"?")
    with pytest.raises(DataError, match="nothing is left of the classes cat"):
        load_dataset(pets, CONTRACT, skip_broken=True)


def test_decoded_images_are_kept_until_the_files_change(pets: Path) -> None:
    first = load_dataset(pets, CONTRACT)
    path = pets / "train/cat/0.png"
    state = path.stat()
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert load_dataset(pets, CONTRACT).train.sha256 == first.train.sha256
    assert len(list(cache_folder().glob("folder-*"))) >= 1
    os.utime(path)
    with pytest.raises(DataError, match="1 of 18 images"):
        load_dataset(pets, CONTRACT)
    draw(path, 999)
    assert load_dataset(pets, CONTRACT).train.sha256 != first.train.sha256


def test_another_contract_is_another_decoding(pets: Path) -> None:
    grey = InputContract(8, 8, "gray", mean=(0,), std=(1,), resize="crop 9")
    contracts = [
        CONTRACT,
        grey,
        replace(grey, resize="letterbox"),
        replace(grey, filter="box"),
        replace(grey, height=7),
    ]
    found = [load_dataset(pets, contract).train for contract in contracts]
    for split, contract in zip(found, contracts, strict=True):
        assert split.images.shape == (9, *contract.pixel_shape)
    assert len({split.sha256 for split in found}) == len(contracts)


def test_progress_ends_at_one(pets: Path) -> None:
    shares: list[float] = []
    contract = InputContract(7, 7)
    load_dataset(pets, contract, progress=lambda text, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    load_dataset(pets, contract, progress=lambda text, share: pytest.fail("decoded again"))


def test_a_stop_in_the_middle_leaves_nothing_behind(pets: Path) -> None:
    def stop(text: str, share: float) -> None:
        raise KeyboardInterrupt

    contract = InputContract(9, 9)
    before = set(cache_folder().glob("*"))
    with pytest.raises(KeyboardInterrupt):
        load_dataset(pets, contract, progress=stop)
    assert set(cache_folder().glob("*")) == before
