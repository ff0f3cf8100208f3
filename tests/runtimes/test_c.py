"""Plain C as a runtime: the compiler it needs, and the libraries that it keeps."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import ModelError, UnavailableError
from edgecnn.runtime import Variant, open_session
from edgecnn.shelves import load_runtime
from edgecnn.worker import open_in_worker
from tests.conftest import TinyNet
from tests.runtimes import graphs

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)


@pytest.fixture(scope="module")
def net(tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory) -> Variant:
    folder = tmp_path_factory.mktemp("c")
    (folder / "tiny.onnx").write_bytes(tiny_net.onnx(preprocessing=False))
    source = graphs.variant(folder / "tiny.onnx")
    made = load_runtime("c").convert(source, folder, name="c-fp32", options={})
    return Variant("c-fp32", "fp32", "c", tuple(str(folder / file) for file in made.files), False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgecnn" / "c"


def answers(net: Variant) -> bool:
    with open_session(net, runtime="c", threads=1) as session:
        (given,) = session.inputs
        return bool(
            np.isfinite(session.run({given.name: np.ones((1, 3, 8, 8), "f4")})["logits"]).all()
        )


def stub(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the compiler's place."""
    folder.mkdir()
    for name in ("cc", "gcc", "clang"):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_net_is_compiled_once(net: Variant, cache: Path) -> None:
    assert answers(net)
    (library,) = cache.glob("*.so")
    before = library.stat().st_mtime_ns
    assert answers(net)
    assert library.stat().st_mtime_ns == before


def test_a_damaged_library_is_made_anew(net: Variant, cache: Path) -> None:
    assert answers(net)
    (library,) = cache.glob("*.so")
    content = library.read_bytes()
    library.unlink()  # who has loaded it keeps the old file
    library.write_bytes(content[: len(content) // 2])
    with open_in_worker(net, runtime="c", threads=1) as session:
        assert session.provider == "cpu"
    assert library.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(net: Variant, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert answers(net)


def test_what_a_call_reads_lives_as_long_as_the_call(net: Variant, cache: Path) -> None:
    with open_session(net, runtime="c", threads=1) as session:
        (given,) = session.inputs
        image = np.ones((1, 3, 8, 8), "f4")
        image.flags.writeable = False
        kept = weakref.ref(image)
        call = session.prepare({given.name: image})
        del image
        assert kept() is not None
        call()
        del call
        assert kept() is None


def test_two_processes_at_once_both_compute(net: Variant, cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: open_in_worker(net, runtime="c", threads=1).close(), range(2)))
    (library,) = cache.glob("*.so")
    assert sorted(cache.iterdir()) == [library.with_suffix(".sha256"), library]
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert library.with_suffix(".sha256").read_text() == digest


def test_the_first_compiler_that_is_here_is_taken(
    net: Variant, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = tmp_path / "only"
    only.mkdir()
    (only / "gcc").write_text(
        f'#!/bin/sh\nPATH={os.environ["PATH"]} exec {shutil.which("cc")} "$@"\n'
    )
    (only / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(only))
    with open_in_worker(net, runtime="c", threads=1) as session:
        assert session.provider == "cpu"


def test_several_names_of_a_compiler_are_one_choice() -> None:
    found = load_runtime("c").choices("cpu")["compiler"]
    says = [subprocess.run([each, "--version"], capture_output=True).stdout for each in found]
    assert len({each.partition(b" ")[2] for each in says}) == len(found) > 0


@pytest.mark.parametrize(
    ("script", "said", "remedy"),
    [
        ('echo "final link failed: No space left on device" >&2; exit 1', "no room", "TMPDIR"),
        ('for made in "$@"; do case $made in *.so) echo text > "$made";; esac; done',
         "cannot be loaded", "XDG_CACHE_HOME"),
    ],
)  # fmt: skip
def test_a_machine_that_cannot_compile_is_a_sentence(
    net: Variant,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
    remedy: str,
) -> None:
    version = f"echo stub {said}; exit 0"
    stub(tmp_path / "bin", f'case "$*" in *--version*) {version};; esac\n{script}', monkeypatch)
    with (
        pytest.raises(UnavailableError, match=said) as refused,
        open_in_worker(net, runtime="c", threads=1),
    ):
        pass
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('case "$*" in *--version*) echo stub 1;; *) echo "net.c:1: error: no" >&2; exit 1;; esac',
         "net.c:1: error: no"),
        ('case "$*" in *--version*) echo stub 3;; *) echo "ld: no such thing" >&2; '
         'echo "collect2: error: ld returned 1" >&2; exit 1;; esac', "ld: no such thing"),
        ('case "$*" in *--version*) echo stub 2;; *) kill -SEGV $$;; esac', "signal 11"),
    ],
)  # fmt: skip
def test_a_compiler_that_fails_is_a_sentence(
    net: Variant,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
) -> None:
    stub(tmp_path / "bin", script, monkeypatch)
    with (
        pytest.raises(ModelError, match=said) as refused,
        open_in_worker(net, runtime="c", threads=1),
    ):
        pass
    # `export --format c` says it, too, and has no option for a compiler.
    assert "--option" not in refused.value.remedy
    assert not list(cache.glob("*"))


def test_without_a_compiler_the_package_is_named(
    net: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(UnavailableError, match="no C compiler") as refused,
        open_in_worker(net, runtime="c", threads=1),
    ):
        pass
    assert "apt-get install gcc" in refused.value.remedy
