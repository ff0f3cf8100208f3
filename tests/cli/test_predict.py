from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.bundle import Bundle
from edgecnn.cli.predict import command
from edgecnn.images import MAX_PIXELS
from edgecnn.reports import Report, read_report

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand


@pytest.fixture
def photos(tiny_net: TinyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(tiny_net.images[:5]):
        Image.fromarray(image).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    return make_bundle()


def wanted(net: TinyNet, count: int = 5) -> list[str]:
    names = ("circle", "cross", "square", "star")
    return [names[index] for index in net.exact(net.images[:count]).argmax(axis=1)]


@pytest.mark.usefixtures("photos")
def test_a_table(bundle: Bundle, tiny_net: TinyNet, type_command: TypeCommand) -> None:
    done = type_command("predict", "photos", "--bundle", bundle.folder, "--threads", 1)
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines() if line.startswith("photos/")]
    assert [row[:2] for row in rows] == [
        [f"photos/{number}.png", answer] for number, answer in enumerate(wanted(tiny_net))
    ]
    assert all(row[3] == "%" and float(row[2]) > 25 for row in rows)
    assert max(map(len, done.out.splitlines())) <= 100
    assert "on ort/cpu" in done.out.replace("\n", "")


@pytest.mark.usefixtures("photos")
def test_json_is_one_document_written_as_it_comes(
    bundle: Bundle, tiny_net: TinyNet, type_command: TypeCommand, tmp_path: Path
) -> None:
    done = type_command("predict", "photos/[0-2].png", "--bundle", bundle.folder, "--json")
    assert (done.code, done.err) == (0, "")
    (tmp_path / "report.json").write_text(done.out)
    report: Report = read_report(tmp_path / "report.json")
    assert report.kind == "predict"
    assert report.measured == {"fp32.onnx": bundle.files["fp32.onnx"].sha256}
    assert [each["image"] for each in report.body["images"]] == [
        f"photos/{number}.png" for number in range(3)
    ]
    assert [each["ranked"][0]["label"] for each in report.body["images"]] == wanted(tiny_net, 3)
    assert done.out.splitlines()[-4:] == ["      }", "    ]", "  }", "}"]


@pytest.mark.usefixtures("photos")
def test_json_lines(bundle: Bundle, tiny_net: TinyNet, type_command: TypeCommand) -> None:
    done = type_command(
        "predict", "photos", "--bundle", bundle.folder, "--jsonl", "--top", 1, "--variant", "int8"
    )
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["image"] for line in lines] == [f"photos/{number}.png" for number in range(5)]
    assert all(len(line["ranked"]) == 1 and line["error"] == "" for line in lines)
    same = sum(
        line["ranked"][0]["label"] == answer
        for line, answer in zip(lines, wanted(tiny_net), strict=True)
    )
    assert same >= 4


@pytest.mark.parametrize("form", [[], ["--json"], ["--jsonl"]])
def test_broken_pictures_are_named_and_the_rest_goes_on(
    form: list[str], photos: Path, bundle: Bundle, type_command: TypeCommand
) -> None:
    (photos / "1.png").write_bytes(b"no picture")
    done = type_command("predict", "photos", "none.jpg", "--bundle", bundle.folder, *form)
    assert done.code == 1
    assert done.err.splitlines() == [
        "photos/1.png is not an image that can be read: no image format was recognised.",
        "none.jpg is not an image that can be read: No such file or directory.",
        "Error: 2 of 6 pictures have no answer.",
        "The lines above say why.",
    ]
    assert all(f"photos/{number}.png" in done.out for number in (0, 2, 3, 4))
    if form == ["--json"]:
        assert sum(bool(each["error"]) for each in json.loads(done.out)["body"]["images"]) == 2


def test_all_that_cameras_and_tools_write(
    photos: Path, bundle: Bundle, type_command: TypeCommand
) -> None:
    random = np.random.default_rng(0)
    colour = Image.fromarray(random.integers(0, 256, (12, 9, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.save(photos / "turned.jpg", exif=exif)
    colour.convert("L").save(photos / "grey.png")
    colour.convert("P").save(photos / "palette.gif")
    colour.convert("RGBA").save(photos / "alpha.webp")
    colour.convert("CMYK").save(photos / "ink.tif")
    Image.fromarray(random.integers(0, 65536, (9, 9), np.uint16)).save(photos / "deep.png")
    colour.save(photos / "moving.gif", save_all=True, append_images=[colour.rotate(90)])
    done = type_command("predict", "photos", "--bundle", bundle.folder, "--jsonl")
    assert done.code == 0
    assert done.err == "photos/moving.gif: Only the first of its frames was read.\n"
    assert len(done.out.splitlines()) == 12


def test_what_a_folder_holds_beside_pictures_is_told(
    photos: Path, bundle: Bundle, type_command: TypeCommand
) -> None:
    (photos / "notes.txt").touch()
    done = type_command("predict", "photos", "--bundle", bundle.folder)
    assert done.code == 0
    assert "photos: 1 files that are no images" in done.err


def typed(bundle: Bundle, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    main = "import sys; from edgecnn.cli import main; main(sys.argv[1:])"
    line = [sys.executable, "-c", main, "predict", "--bundle", str(bundle.folder), *arguments]
    done = subprocess.run(line, input=given, capture_output=True, check=False)
    return subprocess.CompletedProcess(
        line, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_stdin_holds_paths_or_a_picture(photos: Path, bundle: Bundle, tiny_net: TinyNet) -> None:
    answer = wanted(tiny_net, 1)[0]
    for given in (b"photos/0.png\n", (photos / "0.png").read_bytes()):
        done = typed(bundle, "-", "--jsonl", given=given)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["ranked"][0]["label"] == answer


def test_no_pictures_at_all_is_wrong_usage(bundle: Bundle) -> None:
    done = typed(bundle, "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: No images were named.")


def test_a_closed_stdin_is_no_fault(bundle: Bundle, photos: Path) -> None:
    line = f"{typed(bundle).args!r}"
    script = f"import os, sys; os.close(0); os.execv({sys.executable!r}, {line} + ['photos'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert photos.name.encode() in done.stdout


def test_names_cannot_play_with_the_terminal(
    photos: Path, bundle: Bundle, type_command: TypeCommand
) -> None:
    (photos / "0.png").rename(photos / "[red]\x1b[2J.png")
    os.rename(os.fsencode(photos / "1.png"), os.fsencode(photos) + b"/caf\xe9.png")  # noqa: PTH104
    (photos / "2\x1b.png").write_bytes(b"no picture")
    done = type_command("predict", "photos", "--bundle", bundle.folder)
    assert "\x1b" not in done.out + done.err
    assert "photos/[red]\\x1b[2J.png" in done.out
    assert "photos/caf\\xe9.png" in done.out
    assert type_command("predict", "photos", "--bundle", bundle.folder, "--jsonl").code == 1


@pytest.mark.usefixtures("photos")
def test_outputs_that_are_no_classes(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    from tests.conftest import CONTRACT

    bundle = make_bundle(contract=replace(CONTRACT, output_kind="other", labels=()))
    line = ("predict", "photos/0.png", "--bundle", bundle.folder)
    done = type_command(*line)
    assert done.code == 0
    (row,) = [text.split() for text in done.out.splitlines() if text.startswith("photos/")]
    assert row[1:3] == ["logits", "4"]
    exact = tiny_net.exact(tiny_net.images[:1])[0]
    figures = [exact.min(), exact.mean(), exact.max()]
    np.testing.assert_allclose(list(map(float, row[3:])), figures, atol=1e-3)
    (found,) = json.loads(type_command(*line, "--json").out)["body"]["images"]
    assert found["ranked"] == []
    np.testing.assert_allclose(found["outputs"]["logits"]["values"], exact, atol=1e-4)


@pytest.mark.usefixtures("photos")
def test_outputs_beside_the_classes(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    import onnx

    model = onnx.load_from_string(tiny_net.onnx())
    features = onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["N", 6])
    model.graph.output.append(features)
    files = {"fp32": model.SerializeToString()}
    bundle = make_bundle(variants=("fp32",), files=files)
    line = ("predict", "photos", "--bundle", bundle.folder)
    done = type_command(*line)
    assert (done.code, done.err) == (0, "--json and --jsonl also give features.\n")
    assert "features" not in done.out
    for text in type_command(*line, "--jsonl").out.splitlines():
        found = json.loads(text)
        assert len(found["ranked"]) == 4
        assert found["outputs"]["features"]["shape"] == [6]


@pytest.mark.usefixtures("photos")
def test_the_newest_bundle_is_taken(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    make_bundle("runs/tiny")
    done = type_command("predict", "photos/0.png")
    assert (done.code, done.err) == (0, "Using runs/tiny, the newest bundle.\n")


@pytest.mark.usefixtures("photos")
def test_another_runtime_answers_the_same(bundle: Bundle, type_command: TypeCommand) -> None:
    line = ("predict", "photos", "--bundle", bundle.folder, "--jsonl", "--top", 4)
    ort, reference = type_command(*line), type_command(*line, "--runtime", "reference")
    assert ort.code == reference.code == 0
    for one, other in zip(ort.out.splitlines(), reference.out.splitlines(), strict=True):
        first, second = json.loads(one)["ranked"], json.loads(other)["ranked"]
        assert [each["label"] for each in first] == [each["label"] for each in second]
        assert first[0]["probability"] == pytest.approx(second[0]["probability"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ((), 2, "Missing argument 'IMAGE...'"),
        (("photos", "--top", "0"), 2, "0 is not in the range"),
        (("photos", "--json", "--jsonl"), 2, "choose one"),
        (("photos", "--variant", "int4"), 2, "no variant 'int4'; it has fp32, int8"),
        (("photos", "--variant", "fp32,int8"), 2, "no variant 'fp32,int8'"),
        (("photos", "--provider", "tpu"), 3, "tpu"),
        (("photos", "--max-pixels", "63"), 1, "more than 63 pixels"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_wrong_usage(
    arguments: tuple[str, ...], code: int, problem: str, bundle: Bundle, type_command: TypeCommand
) -> None:
    done = type_command("predict", *arguments, "--bundle", bundle.folder)
    assert (done.code, done.out) == (code, "")
    assert problem in done.err


def test_the_limit_in_the_help_is_the_one_that_holds() -> None:
    (option,) = [each for each in command.params if each.name == "max_pixels"]
    assert option.default == MAX_PIXELS


def test_pillows_warnings_are_lines(photos: Path, bundle: Bundle) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 100
    Image.open(photos / "0.png").save(photos / "cut.jpg", exif=exif.tobytes()[:-10])
    done = typed(bundle, "photos/cut.jpg")
    assert (done.returncode, done.stderr) == (0, "Warning: Truncated File Read\n")
