"""What is written: nets that link, comments that hold, forms of the call, weights apart."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn import shelves
from edgecnn.bundle import Bundle
from edgecnn.codegen import Generated, generate, generating
from edgecnn.codegen.about import About, read_about
from edgecnn.errors import EdgeCNNError
from tests.codegen.compiled import KERNELS, WARNINGS, run_ort
from tests.codegen.graphs import QuantizedNet
from tests.conftest import CONTRACT, TinyNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("c++") is None,
    reason="There is no C and C++ compiler: `apt-get install gcc g++`.",
)
LABELS = ("cat", 'a "dog" \\ ??/', "*/ #error /*", "Schmetterl\u00ednge\u2026")
ABOUT = About("tiny", "c-fp32", "fp32", "fp32", replace(CONTRACT, labels=LABELS), pixels=True)


def write(
    model: onnx.ModelProto, folder: Path, name: str = "net", about: About | None = None
) -> Generated:
    content = model.SerializeToString()
    made = generate(
        content, where=f"{name}.onnx", name=name, prefix=name, kernels=KERNELS, about=about
    )
    (folder / f"{name}.c").write_text(made.source)
    (folder / f"{name}.h").write_text(made.header)
    return made


def build(
    folder: Path, words: Sequence[str], compiler: str = "cc"
) -> subprocess.CompletedProcess[str]:
    command = [compiler, "-O1", *WARNINGS, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def library(folder: Path, *flags: str) -> ctypes.CDLL:
    done = build(folder, ["-std=c99", "-shared", "-fPIC", *flags, "-o", "net.so", "net.c"])
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(folder / "net.so"))


def quantized_net() -> tuple[QuantizedNet, onnx.ModelProto]:
    """Two outputs that end in a DequantizeLinear."""
    net = QuantizedNet((1, 3, 6, 7))
    one = net.conv(net.first, 5, pads=[0] * 4)
    return net, net.model(net.dense(one, 4, 5 * 4 * 5), net.dense(one, 6, 5 * 4 * 5))


@pytest.mark.parametrize(("compiler", "standard"), [("cc", "-std=c99"), ("c++", "-std=c++17")])
def test_two_nets_link_into_one_program(
    compiler: str, standard: str, tiny_net: TinyNet, tmp_path: Path
) -> None:
    image = tiny_net.images[0]
    expected = []
    for name in ("fp32", "int8"):
        model = onnx.load_model_from_string(tiny_net.onnx(name))
        write(model, tmp_path, name)
        given = model.graph.input[0].name
        expected.append(run_ort(model, {given: image[None]})["logits"].reshape(-1))
    numbers = ", ".join(map(str, image.reshape(-1)))
    calls = "".join(
        f"    {name}_run(image, outputs);\n"
        f"    for (int i = 0; i < {name.upper()}_OUTPUT_SIZE; i++)\n"
        '        printf("%.9g\\n", (double)outputs[i]);\n'
        for name in ("fp32", "int8")
    )
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "fp32.h"\n#include "int8.h"\n#include "fp32.h"\n'
        f"static const uint8_t image[] = {{{numbers}}};\n"
        "static float outputs[FP32_OUTPUT_SIZE];\n"
        f"int main(void)\n{{\n{calls}    return 0;\n}}\n"
    )
    kind = ["-x", "c++"] if compiler == "c++" else []
    done = build(tmp_path, [standard, *kind, "-o", "both", "main.c", "fp32.c", "int8.c"], compiler)
    assert done.returncode == 0, done.stderr[:4000]
    said = subprocess.run([tmp_path / "both"], capture_output=True, text=True, check=True).stdout
    found = np.array(said.split(), np.float32).reshape(2, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert abs(found[0] - found[1]).max() > 1e-3


def test_two_nets_in_one_file_are_refused_with_what_helps(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    model = onnx.load_model_from_string(tiny_net.onnx())
    for name in ("one", "two"):
        write(model, tmp_path, name)
    (tmp_path / "both.c").write_text('#include "one.c"\n#include "two.c"\n')
    done = build(tmp_path, ["-std=c99", "-c", "both.c"])
    assert done.returncode != 0
    assert "compile each .c file by itself and link them" in done.stderr


def test_a_graph_that_ends_in_bytes_gives_them(tmp_path: Path) -> None:
    net, model = quantized_net()
    made = write(model, tmp_path)
    loaded = library(tmp_path)
    macros = dict(
        re.findall(r"#define NET_OUTPUT_\w+?_(SCALE|OFFSET|SIZE|ZERO_POINT) (\S+)", made.header)
    )
    assert set(macros) == {"SCALE", "OFFSET", "SIZE", "ZERO_POINT"}
    scales = np.array(re.findall(r"_SCALE (\S+)f\b", made.header), np.float32)
    zeros = list(map(int, re.findall(r"_ZERO_POINT (\d+)", made.header)))
    places = list(map(int, re.findall(r"_OFFSET (\d+)", made.header)))
    assert places == [0, 4]
    for image in net.images(5):
        floats, found = np.zeros(10, np.float32), np.zeros(11, np.uint8)
        found[10] = 77
        for name, outputs in (("net_run", floats), ("net_run_quantized", found)):
            getattr(loaded, name)(
                ctypes.c_void_p(image.ctypes.data), ctypes.c_void_p(outputs.ctypes.data)
            )
        assert found[10] == 77
        for part, scale, zero in zip((slice(4), slice(4, 10)), scales, zeros, strict=True):
            values = (found[part].astype(np.float32) - zero) * scale
            np.testing.assert_array_equal(values, floats[part])
        exact = np.concatenate(
            [each.reshape(-1) for each in run_ort(model, {"image": image}).values()]
        )
        np.testing.assert_array_equal(floats, exact)
        assert len(set(found[:10])) > 2


def test_a_graph_that_ends_in_floats_says_that_there_are_no_bytes(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    made = write(onnx.load_model_from_string(tiny_net.onnx()), tmp_path)
    assert "There is no net_run_quantized" in made.header
    assert "void net_run_quantized" not in made.header + made.source


def test_the_callers_arena_is_all_the_memory_that_it_takes(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    model = onnx.load_model_from_string(tiny_net.onnx())
    made = write(model, tmp_path)
    loaded = library(tmp_path, "-DEDGECNN_NO_STATIC_ARENA")
    with pytest.raises(AttributeError):
        loaded.net_run  # noqa: B018 - looking it up is what fails
    size = int(re.findall(r"#define NET_ARENA_BYTES (\d+)", made.header)[0])
    room = np.full(size + 128, 99, np.uint8)
    start = 64 + -room.ctypes.data % 64
    outputs = np.zeros(4, np.float32)
    image = np.ascontiguousarray(tiny_net.images[3])
    pointers = (room.ctypes.data + start, image.ctypes.data, outputs.ctypes.data)
    loaded.net_run_in(*map(ctypes.c_void_p, pointers))
    expected = run_ort(model, {model.graph.input[0].name: image[None]})["logits"].reshape(-1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert (room[:start] == 99).all()
    assert (room[start + size :] == 99).all()
    done = build(tmp_path, ["-DEDGECNN_NO_STATIC_ARENA", "-c", "net.c"])
    assert done.returncode == 0
    sizes = subprocess.run(["size", tmp_path / "net.o"], capture_output=True, text=True, check=True)
    data, bss = sizes.stdout.splitlines()[1].split()[1:3]
    assert (data, bss) == ("0", "0")


def test_names_that_would_end_a_comment_or_a_string_do_not(
    tiny_net: TinyNet, tmp_path: Path
) -> None:
    model = onnx.load_model_from_string(tiny_net.onnx())
    for node in model.graph.node:
        node.name = f"*/ #error {node.name} /* \u2026\n*/ ???/"
    write(model, tmp_path, about=replace(ABOUT, net="*/ int x; /*\n"))
    loaded = library(tmp_path, "-DEDGECNN_LABELS")
    found = (ctypes.c_char_p * 4).in_dll(loaded, "net_labels")
    assert [str(each or b"", "utf-8") for each in found] == list(LABELS)
    assert (tmp_path / "net.c").read_text().isascii()
    assert (tmp_path / "net.h").read_text().isascii()


def test_labels_are_only_there_where_they_are_asked_for(tiny_net: TinyNet, tmp_path: Path) -> None:
    write(onnx.load_model_from_string(tiny_net.onnx()), tmp_path, about=ABOUT)
    assert not hasattr(library(tmp_path), "net_labels")


def test_weights_apart_are_known_by_their_check_value(
    tiny_net: TinyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generating, "MOST_TEXT_BYTES", 100)
    made = write(onnx.load_model_from_string(tiny_net.onnx()), tmp_path)
    assert made.weights is not None
    assert f"#define NET_WEIGHTS_BYTES {len(made.weights)}\n" in made.header
    assert '.incbin "net.bin"' in made.header
    loaded = library(tmp_path)
    room = np.zeros(len(made.weights) + 128, np.uint8)
    start = -room.ctypes.data % 64
    room[start : start + len(made.weights)] = np.frombuffer(made.weights, np.uint8)
    check = loaded.net_check_weights
    assert check(ctypes.c_void_p(room.ctypes.data + start)) == 0
    assert check(ctypes.c_void_p(room.ctypes.data + start + 4)) == 1
    room[start + len(made.weights) - 1] ^= 1
    assert check(ctypes.c_void_p(room.ctypes.data + start)) == 2


def test_the_head_says_what_it_is_and_what_it_needs(tiny_net: TinyNet, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(tiny_net.onnx())
    made = write(model, tmp_path, about=ABOUT)
    weights = sum(array.nbytes for layer in made.program.layers for array in layer.constants)
    for text in (
        "tiny as plain C, fp32: 8x8 pixels in, 4 classes out",
        "the variant 'fp32' of the bundle 'tiny'",
        "uint8_t [8][8][3]: rows, columns, channels (red, green, blue), 0 to 255",
        f"{weights:,}  weights and tables",
        f"{made.arena_bytes:,}  activations",
        "arm-none-eabi-gcc -mcpu=cortex-m4",
        "-ffast-math, -Ofast and what is like them are refused",
    ):
        assert text in re.sub(r"\n \* +", " ", made.header), text
    assert made.needs.constants == weights
    again = write(model, tmp_path, about=ABOUT)
    assert (made.source, made.header) == (again.source, again.header)
    assert str(tmp_path) not in made.source + made.header


def test_of_several_outputs_the_scores_are_named(two_headed: Bundle) -> None:
    source = two_headed.locate("fp32")
    made = generate(
        source.path.read_bytes(),
        where="fp32.onnx",
        name="c-fp32",
        prefix="two",
        kernels=KERNELS,
        about=read_about(source, "c-fp32"),
    )
    features, logits = made.program.outputs
    assert (features.name, logits.name) == ("features", "logits")
    found = dict(re.findall(r"#define TWO_(\w+) (\d+)", made.header))
    assert {name: int(found[name]) for name in found if name.startswith(("OUTPUT", "SCORES"))} == {
        "OUTPUT_SIZE": features.size + 4,
        "OUTPUT_FEATURES_OFFSET": 0,
        "OUTPUT_FEATURES_SIZE": features.size,
        "OUTPUT_LOGITS_OFFSET": features.size,
        "OUTPUT_LOGITS_SIZE": 4,
        "SCORES": features.size,
    }
    assert "those of 'logits' are logits, and the largest" in re.sub(r"\n \* +", " ", made.header)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"speed": "high"}, "C has no option 'speed'; it has prefix, max-flash, max-ram, weights"),
        ({"weights": "text"}, "weights cannot be 'text'"),
        ({"winograd": "yes"}, "winograd cannot be 'yes'"),
        ({"max-ram": "-1kB"}, "below nothing"),
        ({"prefix": "two words"}, "cannot be called 'two words_run'"),
        (
            {"max-ram": "2kB"},
            r"'c-fp32' needs [\d,]+ bytes of RAM, and there are 2,000: [\d,]+ for",
        ),
        ({"max-flash": "2kB"}, r"'c-fp32' needs [\d,]+ bytes of flash, and there are 2,000: "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    options: dict[str, str], problem: str, two_headed: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    convert = shelves.load_runtime("c").convert
    with pytest.raises(EdgeCNNError, match=problem) as refusal:
        convert(two_headed.locate("fp32"), folder, name="c-fp32", options=options)
    assert not list(folder.iterdir())
    if problem.startswith("'c-fp32' needs"):
        assert "--from int8" in refusal.value.remedy
        assert "fewer channels" in refusal.value.remedy
