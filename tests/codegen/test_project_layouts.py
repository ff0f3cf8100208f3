"""Nets laid out for CMake, Arduino and ESP-IDF: built, run and compiled where that can be had."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn import convert
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.cli._c_target import LAYOUTS
from edgecnn.codegen.project_layouts import layouts, write_layout
from edgecnn.errors import InputError
from tests.codegen.compiled import WARNINGS
from tests.conftest import CLASSES, MakeBundle, TinyNet, TypeCommand

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("c++") is None,
    reason="There is no C and C++ compiler: `apt-get install gcc g++`.",
)
needs_cmake = pytest.mark.skipif(
    shutil.which("cmake") is None, reason="There is no CMake: `apt-get install cmake`."
)
# As much of Arduino as the example uses.
ARDUINO = """\
#include <stddef.h>
#include <stdint.h>
struct Port {
    void begin(long) {}
    void setTimeout(long) {}
    size_t readBytes(char *, size_t size) { return size; }
    template <class Any> void print(Any) {}
    template <class Any> void println(Any) {}
};
static Port Serial;
static unsigned long micros() { return 0; }
"""


@pytest.fixture(scope="module")
def bundle(session_bundle: Callable[[str], Bundle]) -> Bundle:
    """Give a net as C, with its weights in the text and with them apart."""
    made = session_bundle("sky")
    convert(made, "c", name="c-text", threads=1)
    made = open_bundle(made.folder)
    convert(made, "c", name="c-apart", options={"weights": "file"}, threads=1)
    return open_bundle(made.folder)


def run(folder: Path, *command: object) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_command_offers_every_layout_on_the_shelf() -> None:
    assert list(LAYOUTS) == layouts()


@needs_cmake
@pytest.mark.parametrize("variant", ["c-text", "c-apart"])
def test_with_cmake_it_builds_proves_itself_and_answers_an_image(
    variant: str, bundle: Bundle, tiny_net: TinyNet, tmp_path: Path
) -> None:
    folder = tmp_path / "laid"
    files = write_layout(bundle, variant, "cmake", folder)
    assert ("src/sky.bin" in files) is (variant == "c-apart")
    flags = f"-DCMAKE_C_FLAGS={' '.join(WARNINGS)}"
    run(folder, "cmake", "-B", "build", flags, "-DCMAKE_INSTALL_PREFIX=there")
    run(folder, "cmake", "--build", "build", "--target", "install")
    run(folder, "ctest", "--test-dir", "build", "--no-tests=error")
    for image in tiny_net.images[:8]:
        (folder / "image.raw").write_bytes(np.ascontiguousarray(image).tobytes())
        best = CLASSES[int(tiny_net.exact(image[None])[0].argmax())]
        assert run(folder, "build/sky_example", "image.raw").startswith(f"{best} (")
    short = subprocess.run(
        [folder / "build/sky_example", folder / "README.md"], capture_output=True
    )
    assert short.returncode == 2
    user = tmp_path / "user"
    user.mkdir()
    (user / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\nfind_package(sky REQUIRED)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user PRIVATE edgecnn::sky)\n"
    )
    shutil.copy(folder / "example" / "main.c", user)
    run(user, "cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={folder / 'there'}")
    run(user, "cmake", "--build", "build")
    assert run(user, "build/user", folder / "image.raw").startswith(f"{best} (")


@pytest.mark.parametrize("variant", ["c-text", "c-apart"])
def test_with_arduino_the_library_and_its_example_compile(
    variant: str, bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "sky"
    write_layout(bundle, variant, "arduino", folder)
    properties = (folder / "library.properties").read_text().splitlines()
    assert {line.partition("=")[0] for line in properties} >= {
        *("name", "version", "author", "maintainer", "sentence", "paragraph", "category"),
        *("url", "architectures", "includes"),
    }
    assert json.loads((folder / "library.json").read_text())["headers"] == "sky.h"
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    sketch = folder / "examples" / "Classify" / "Classify.ino"
    (tmp_path / "main.cpp").write_text(
        f'#include "Arduino.h"\n#include "{sketch}"\nint main() {{ setup(); loop(); }}\n'
    )
    run(tmp_path, "cc", "-Os", *WARNINGS, "-I", folder / "src", "-c", folder / "src" / "sky.c")
    objects = ["sky.o"]
    if variant == "c-apart":
        assembled = folder / "src" / "sky_weights.S"
        run(tmp_path, "cc", "-I", folder / "src", "-c", assembled, "-o", "weights.o")
        objects.append("weights.o")
    words = ["-std=c++17", "-Os", *WARNINGS, "-I", folder / "src", "-o", "main", "main.cpp"]
    run(tmp_path, "c++", *words, *objects)
    run(tmp_path, "./main")


def test_as_an_esp_idf_component_it_names_only_files_that_are_there(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "sky"
    files = write_layout(bundle, "c-text", "esp-idf", folder)
    text = (folder / "CMakeLists.txt").read_text()
    assert 'idf_component_register(SRCS "src/sky.c" INCLUDE_DIRS "include"' in text
    assert {"src/sky.c", "include/sky.h", "idf_component.yml", "README.md"} <= set(files)
    example = folder / "examples" / "classify"
    assert "project(classify)" in (example / "CMakeLists.txt").read_text()
    assert 'SRCS "main.c"' in (example / "main" / "CMakeLists.txt").read_text()
    (tmp_path / "esp_timer.h").write_text(
        "#include <stdint.h>\nint64_t esp_timer_get_time(void);\nvoid app_main(void);\n"
    )
    words = ["-DEDGECNN_LABELS", "-I", folder / "include", "-I", tmp_path, "-c"]
    run(tmp_path, "cc", "-std=c99", *WARNINGS, *words, example / "main" / "main.c")
    for name in files:
        assert "@" not in (folder / name).read_text(), name


def test_a_folder_that_is_there_is_replaced_only_if_it_is_a_layout_and_by_force(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "sky"
    write_layout(bundle, "c-text", "cmake", folder)
    (folder / "own.txt").write_text("mine")
    with pytest.raises(InputError, match="already exists") as refusal:
        write_layout(bundle, "c-text", "esp-idf", folder)
    assert "--force" in refusal.value.remedy
    write_layout(bundle, "c-text", "esp-idf", folder, force=True)
    assert (folder / "idf_component.yml").is_file()
    assert not (folder / "own.txt").exists()
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="will not touch it"):
        write_layout(bundle, "c-text", "cmake", other, force=True)
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with pytest.raises(InputError, match="'fp32' is onnx; layouts are of C"):
        write_layout(bundle, "fp32", "cmake", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_writes_a_layout_and_refuses_flags_that_mean_nothing(
    make_bundle: MakeBundle, tmp_path: Path, type_command: TypeCommand
) -> None:
    bundle = make_bundle(variants=("fp32",))
    before = sorted(path.name for path in bundle.folder.iterdir())
    laid = tmp_path / "laid"
    words = ("export", bundle.folder, "--format", "c")
    for flags, sentence in (
        (("--layout", "cmake"), "add --output FOLDER"),
        (("--output", laid), "--output is where a --layout goes"),
        (("--force",), "--force is where a --layout goes"),
        (("--max-ram", "soon"), "'soon' is no number with a unit"),
        (("--max-flash", "2ms"), "'2ms' is no size"),
        (("--prefix", "int"), "Functions in C cannot be called 'int_run'"),
        (("--prefix", "a", "--option", "prefix=b"), "prefix cannot be both b and a"),
        (("--max-ram", "1kB"), "bytes of RAM, and there are 1,000"),
        (("--max-flash", "1kB"), "bytes of flash, and there are 1,000"),
        (("--opset", "17"), "--opset is about ONNX files"),
        (("--layout", "cmake", "--output", bundle.folder), "already exists"),
    ):
        found = type_command(*words, *flags)
        assert (found.code, found.out) == (2, ""), flags
        assert sentence in " ".join(found.err.split()), found.err
    for flags in (("--prefix", "a"), ("--layout", "cmake", "--output", laid)):
        found = type_command("export", bundle.folder, *flags)
        assert found.code == 2
        assert f"{flags[0]} is about --format c" in found.err
    assert sorted(path.name for path in bundle.folder.iterdir()) == before
    assert not laid.exists()
    sizes = ("--max-flash", "1MiB", "--max-ram", "1MiB")
    found = type_command(
        *words, "--prefix", "sky", *sizes, "--layout", "cmake", "--output", laid, "--threads", "1"
    )
    assert found.code == 0, found.err
    assert f"{laid}: 7 files for cmake" in " ".join(found.out.split())
    assert "void sky_run(" in (laid / "include" / "sky.h").read_text()
    assert open_bundle(bundle.folder).variant("c-fp32").settings["prefix"] == "sky"
