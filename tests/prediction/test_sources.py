from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import InputError
from edgecnn.prediction.sources import Source, display, find_pictures


class Slow(io.RawIOBase):
    """A stream that gives one piece at a time, and counts how many were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.pieces:
            return 0
        piece = self.pieces.pop(0)
        self.given += 1
        buffer[: len(piece)] = piece
        return len(piece)


def found(*places: object, content: bytes | None = None) -> tuple[list[Source], list[str]]:
    notes: list[str] = []
    given = None if content is None else io.BufferedReader(io.BytesIO(content))
    sources = find_pictures(map(str, places), stdin=given, note=notes.append)
    return list(sources), notes


def paths(*places: object, content: bytes | None = None) -> list[str]:
    sources, notes = found(*places, content=content)
    assert not notes
    assert not any(source.problem for source in sources)
    return [str(source.content) for source in sources]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.png", "a.JPG", "sub/deep/c.tif", "sub/d.webp", ".hidden.png", ".git/e.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    return folder


def test_folders_are_walked_in_order(photos: Path) -> None:
    wanted = ["a.JPG", "b.png", "sub/d.webp", "sub/deep/c.tif"]
    assert paths("photos") == [f"photos/{name}" for name in wanted]
    assert paths(photos / "sub", "photos/b.png") == [
        str(photos / "sub/d.webp"), str(photos / "sub/deep/c.tif"), "photos/b.png",
    ]  # fmt: skip


def test_patterns_that_the_shell_left_alone(photos: Path) -> None:
    assert paths("photos/*.png") == ["photos/b.png"]
    assert paths("photos/**/*.[tw]*") == ["photos/sub/d.webp", "photos/sub/deep/c.tif"]
    assert paths("photos/su?") == ["photos/sub/d.webp", "photos/sub/deep/c.tif"]


def test_a_file_with_a_patterns_name_is_that_file(photos: Path) -> None:
    (photos / "[ab].png").touch()
    assert paths("photos/[ab].png") == ["photos/[ab].png"]


@pytest.mark.usefixtures("photos")
def test_nothing_found_is_a_problem_of_that_place() -> None:
    Path("empty").mkdir()
    sources, _ = found("photos/*.bmp", "empty", "none.png", "photos/b.png")
    assert [source.problem for source in sources] == [
        "nothing matches this pattern", "there are no images in this folder", "", "",
    ]  # fmt: skip


def test_other_files_of_a_folder_are_left_out_and_told(photos: Path) -> None:
    for number in range(5):
        (photos / f"{number}.txt").touch()
    sources, notes = found("photos")
    assert len(sources) == 4
    assert notes == [
        "photos: 5 files that are no images by their suffix were left out: 0.txt, 1.txt, 2.txt, …"
    ]


def test_a_link_that_leads_back_ends(photos: Path) -> None:
    (photos / "sub/again").symlink_to(photos)
    (photos / "sub/gone.png").symlink_to("nowhere")
    assert len(paths("photos")) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(photos: Path) -> None:
    (photos / "sub").chmod(0)
    sources, _ = found("photos", "photos/sub")
    assert [source.problem for source in sources] == [
        "", "", "Permission denied", "Permission denied",
    ]  # fmt: skip


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_paths_on_stdin(end: bytes) -> None:
    given = [b"photos/b.png", b"", b"photos/sub"]
    wanted = ["photos/b.png", "photos/sub/d.webp", "photos/sub/deep/c.tif"]
    assert paths("-", content=end.join(given)) == wanted
    assert paths("-", content=end.join(given) + end) == wanted


@pytest.mark.usefixtures("photos")
def test_a_name_on_stdin_may_hold_a_new_line_if_nul_ends_it() -> None:
    assert paths("-", content=b"photos/a\nb.png\0photos/b.png\0") == [
        "photos/a\nb.png", "photos/b.png",
    ]  # fmt: skip


def test_paths_are_given_as_they_come() -> None:
    pipe = Slow(b"a.png\nb.", b"png\nc.png\n", b"d.png")
    sources = find_pictures(["-"], stdin=io.BufferedReader(pipe))
    names = []
    for source in sources:
        names.append(source.name)
        assert pipe.given == {"a.png": 1, "b.png": 2, "c.png": 2, "d.png": 3}[source.name]
    assert names == ["a.png", "b.png", "c.png", "d.png"]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("size", [(4, 4), (300, 200)])
def test_a_picture_on_stdin_is_known_by_its_head(kind: str, size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(file, kind)
    (source,), _ = found("-", content=file.getvalue())
    assert source == Source("-", file.getvalue())


@pytest.mark.parametrize(
    "name", ["P5 holiday.pgm", "BMW.jpg", "GIF89a.gif", "II", "RIFF.webp", "P3", "MM.tif", "PNG"]
)
def test_a_path_that_begins_like_a_picture_is_a_path(name: str) -> None:
    for content in (f"{name}\n", f"{name}\nother.png\n", name):
        assert paths("-", content=content.encode())[0] == name


def test_a_picture_on_stdin_is_read_to_a_limit() -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(17 << 20)
    sources = find_pictures(["-"], stdin=io.BufferedReader(io.BytesIO(content)), max_pixels=10)
    assert [source.problem for source in sources] == ["It is larger than any picture of 10 pixels."]


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 200_000,
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        np.random.default_rng(0).bytes(5000),
    ],
    ids=["one line without an end", "HEIC", "noise"],
)
def test_what_is_neither_picture_nor_paths_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="neither a picture that can be read nor a list of paths"):
        found("-", content=content)


def test_a_strange_name_on_stdin_is_believed_where_it_exists(photos: Path) -> None:
    (photos / "a\x1b.png").touch()
    assert paths("-", content=b"photos/a\x1b.png\n") == ["photos/a\x1b.png"]


def test_without_stdin_a_dash_is_a_name() -> None:
    (source,), _ = found("-")
    assert (source.name, source.content) == ("-", Path("-"))


def test_names_are_text_and_harmless_on_a_terminal(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\x1b[2J.png"
    with open(path, "wb"):  # noqa: PTH123  a Path takes no bytes
        pass
    (source,), _ = found(tmp_path)
    assert source.name == f"{tmp_path}/caf\\xe9\x1b[2J.png"
    assert display(source.name) == f"{tmp_path}/caf\\xe9\\x1b[2J.png"
    assert display("Škoda 犬\n") == "Škoda 犬\\n"
