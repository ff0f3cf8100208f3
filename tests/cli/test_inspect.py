from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

import edgecnn
from edgecnn import bundle as bundles
from edgecnn import images
from edgecnn.inspection import python_code
from edgecnn.spec import InputContract, TensorSpec, Variant
from tests.plain.graphs import taking
from tests.runtimes import graphs

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand


def test_a_bundle_on_the_screen(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    done = type_command("inspect", bundle.folder)
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.split())
    assert "Images 8x8 rgb, stretch, bilinear" in words
    assert "Labels 4: circle, cross, square, star" in words
    assert "Inputs pixels: uint8 [N, 8, 8, 3]" in words
    assert "Opset onnx 18; IR 8" in words
    assert f"Made from fp32.onnx sha256 {bundle.files['fp32.onnx'].sha256}" in words
    assert "1 of 2 layers with weights: uint8 activations, int8 weights" in words
    assert "Not quantized logits" in words
    # Input and output of the convolution: 3x8x8 and 6x6x6 floats.
    assert "maps Conv 1x6x6x6 162 5,832 1,632 B no" in words
    assert "in all 196 5,856 1,632 B" in words
    assert "gated" not in words


def test_layers_may_be_left_out(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    done = type_command("inspect", make_bundle().folder, "--no-layers", "--variant", "int8")
    assert "in all" not in done.out
    assert "fp32 onnx" not in done.out


def test_json_is_one_document(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    bundle = make_bundle()
    done = type_command("inspect", bundle.folder, "--json")
    report = json.loads(done.out)
    found = report["body"]
    assert (done.code, done.err) == (0, "")
    assert report["measured"] == {n: f.sha256 for n, f in bundle.files.items()}
    assert found["manifest"]["digest"] == bundle.manifest.digest
    assert found["variants"][0]["graph"]["macs"] == 5856


def test_the_newest_bundle_is_taken(
    make_bundle: MakeBundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle("runs/tiny").folder
    monkeypatch.chdir(folder.parent.parent)
    assert type_command("inspect").err == "Using runs/tiny, the newest bundle.\n"


def test_a_plain_file(tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False, batch=4))
    done = type_command("inspect", path)
    assert done.code == 0
    assert "MACs 23,424 at batch 4" in " ".join(done.out.split())
    path.write_text("no model")
    refused = type_command("inspect", path)
    assert (refused.code, refused.out) == (2, "")
    assert "net.onnx is no ONNX file" in refused.err


def test_open_sizes_may_be_given(tmp_path: Path, type_command: TypeCommand) -> None:
    path = taking(tmp_path / "net.onnx", TensorSpec("x", "float32", ("N", 3, "H", "W")))
    file = path.variant.path
    words = " ".join(type_command("inspect", file).out.split())
    assert "x: float32 [N, 3, H, W] has open axes" in words
    assert "Peak memory ? of activations" in words
    done = type_command("inspect", file, "--input-shape", "x=2x3x4x5")
    assert "has open axes" not in done.out
    assert "Peak memory 480 B of activations" in " ".join(done.out.split())
    code = type_command("inspect", file, "--code", "python", "--input-shape", "x=2x3x4x5").out
    assert run_code(code, tmp_path) == ["x_out float32 (2, 3, 4, 5)"]
    wrong = type_command("inspect", file, "--input-shape", "y=1")
    assert (wrong.code, wrong.out) == (2, "")
    assert "net.onnx has no input 'y'; it has x." in wrong.err


def test_a_bundle_knows_its_sizes(make_bundle: MakeBundle, type_command: TypeCommand) -> None:
    done = type_command("inspect", make_bundle().folder, "--input-shape", "pixels=1x8x8x3")
    assert (done.code, done.out) == (2, "")
    assert "A bundle says itself what goes in." in done.err


def test_a_file_without_inputs(tmp_path: Path, type_command: TypeCommand) -> None:
    nodes = [helper.make_node("Neg", ["c"], ["y"])]
    outputs = (TensorSpec("y", "float32", (2,)),)
    model = graphs.model(nodes, (), outputs, {"c": np.ones(2, np.float32)})
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    words = " ".join(type_command("inspect", path).out.split())
    assert "Inputs none: it takes no inputs" in words
    code = type_command("inspect", path, "--code", "python").out
    assert run_code(code, tmp_path) == ["y float32 (2,)"]


def test_what_no_engine_may_see_is_described(tmp_path: Path, type_command: TypeCommand) -> None:
    x = TensorSpec("x", "float32", ("N", 4))
    nodes = [helper.make_node("Mystery", ["x"], ["y"], domain="org.example")]
    model = graphs.model(nodes, (x,), (TensorSpec("y", "float32", ("N", 4)),))
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    done = type_command("inspect", path)
    words = " ".join(done.out.split())
    assert done.code == 0
    assert "Operators 1 org.example:Mystery" in words
    assert "Note No engine gets to see this file:" in words
    assert type_command("parity", path, "--runtime", "ort,reference").code == 2
    model.graph.node[0].name = "\x1b[2J"
    path.write_bytes(model.SerializeToString())
    steering = type_command("inspect", path)
    assert (steering.code, steering.out) == (2, "")
    assert "control characters" in steering.err
    assert "\x1b" not in steering.err


def test_what_is_wrong_is_said_on_stderr(
    make_bundle: MakeBundle, type_command: TypeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle()
    (bundle.folder / "golden.npz").unlink()
    path = bundle.folder / "int8.onnx"
    path.write_bytes(b"x")
    monkeypatch.setattr("edgecnn.extras.find_spec", lambda name: None)
    done = type_command("inspect", bundle.folder)
    assert done.code == 0
    assert "golden.npz is missing" in done.err
    assert done.err.count("int8.onnx is not the file that was written") == 1
    assert "needs onnx, which is not installed" in done.err
    assert type_command("inspect", bundle.folder, "--variant", "fp32").code == 3


def run_code(code: str, folder: Path, *arguments: object) -> list[str]:
    without_edgecnn = f"import sys; sys.modules['edgecnn'] = None\n{code}"
    command = [sys.executable, "-c", without_edgecnn, *map(str, arguments)]
    child = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def picture(path: Path, width: int, height: int, mode: str = "RGB") -> Path:
    random = np.random.default_rng(width)
    channels = {"RGB": 3, "L": 1}[mode]
    pixels: NDArray[Any] = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(path)
    return path


@pytest.mark.parametrize("change", [{}, {"preprocessing": False}, {"batch": 3}], ids=str)
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_the_printed_code_answers_as_edgecnn_does(
    variant: str,
    change: dict[str, Any],
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    tmp_path: Path,
) -> None:
    bundle = make_bundle(changes={"fp32": change, "int8": change})
    done = type_command("inspect", bundle.folder, "--variant", variant, "--code", "python")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) <= 20
    path = picture(tmp_path / "picture.png", 21, 13)
    label, outputs = run_code(done.out, tmp_path, path)
    with edgecnn.load(bundle, variant=variant) as predictor:
        assert label == predictor.predict([path])[0].label
        np.testing.assert_array_equal(json.loads(outputs), predictor.run([path])[0])


@pytest.mark.parametrize("resize", ["stretch", "crop 8", "crop 11", "letterbox"])
@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_the_printed_code_resizes_as_edgecnn_does(
    resize: str, color: Literal["rgb", "gray"], tmp_path: Path
) -> None:
    channels = 3 if color == "rgb" else 1
    contract = InputContract(
        8, 6, color, mean=(0,) * channels, std=(1,) * channels, resize=resize, filter="bicubic"
    )
    bundle = bundles.create(
        tmp_path / "net",
        bundles.new_manifest("net", contract, model=None, data=None, environment={}),
        {},
    )
    variant = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
    bundle = bundles.extend(bundle, {"fp32.onnx": b""}, variant)
    code = python_code(bundle)
    start = code[: code.index("session")]
    for width, height in ((8, 8), (40, 23), (23, 41), (5, 6), (13, 13), (6, 8), (1, 9)):
        path = picture(tmp_path / "x.png", width, height, "RGB" if width % 2 else "L")
        scope: dict[str, Any] = {}
        exec(start.replace("sys.argv[1]", repr(str(path))), scope)
        np.testing.assert_array_equal(scope["pixels"][0], images.decode(path, contract))


def test_code_for_a_plain_file_runs_it_on_zeros(
    tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx(preprocessing=False))
    done = type_command("inspect", path, "--code", "python")
    assert run_code(done.out, tmp_path) == ["logits float32 (1, 4)"]


def test_code_is_for_one_sound_variant(
    make_bundle: MakeBundle, type_command: TypeCommand, tiny_net: TinyNet
) -> None:
    bundle = make_bundle()
    both = type_command("inspect", bundle.folder, "--variant", "fp32,int8", "--code", "python")
    assert (both.code, both.out) == (2, "")
    two = type_command("inspect", bundle.folder, "--code", "python", "--json")
    assert (two.code, two.out) == (2, "")
    other = tiny_net.onnx(preprocessing=False)
    bundles.extend(bundle, {"fp32.onnx": other}, replace(bundle.variant("fp32")))
    stale = type_command("inspect", bundle.folder, "--variant", "int8", "--code", "python")
    assert stale.code == 2
    assert "is stale" in stale.err
