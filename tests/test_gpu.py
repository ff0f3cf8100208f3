from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn import gpu

_DRIVER = r"""
#include <stddef.h>
#include <string.h>
int cuDriverGetVersion(int *v) { *v = 12080; return 0; }
int cuInit(unsigned f) { return STATUS; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, d ? "Second" : "First", n); return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = 5000000000ull + d; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : 6; return 0; }
int cuGetErrorString(int e, const char **s) { *s = "no CUDA-capable device is detected"; return 0; }
"""


def test_nvidia_says_what_is_missing_or_there() -> None:
    found = gpu.nvidia()
    assert bool(found.gpus) is (found.problem == "")


@pytest.mark.gpu
def test_nvidia_sees_the_gpu() -> None:
    found = gpu.nvidia()
    assert found.gpus[0].memory_bytes > 2**28
    assert float(found.gpus[0].compute_capability) >= 3
    assert float(found.cuda) >= 11


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("status", [0, 100])
def test_driver_is_asked_as_it_answers(tmp_path: Path, status: int) -> None:
    """A driver of our own, compiled: there is no other way to have two GPUs everywhere."""
    source = tmp_path / "driver.c"
    source.write_text(_DRIVER)
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-DSTATUS={status}", str(source), "-o", "libcuda.so.1"],
        cwd=tmp_path,
        check=True,
    )
    program = "from edgecnn.gpu import nvidia; n = nvidia(); print(n.gpus, n.cuda, n.problem)"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    cards = (gpu.Gpu("First", 5_000_000_000, "8.6"), gpu.Gpu("Second", 5_000_000_001, "8.6"))
    no_card = "() 12.8 the driver says 'no CUDA-capable device is detected'"
    assert said == (f"{cards} 12.8" if status == 0 else no_card)


def test_library_on_the_library_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libabacus.so.3.1.4").touch()
    (tmp_path / "libabacus.so.3").symlink_to("libabacus.so.3.1.4")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere::{tmp_path}")
    expected = gpu.Library("libabacus.so.3", str(tmp_path / "libabacus.so.3"), "3.1.4")
    assert gpu.find_library("libabacus.so.3") == expected
    assert gpu.find_library("libabacus.so.4") is None
    assert [library.name for library in gpu.find_libraries("libabacus.so.*")] == [
        "libabacus.so.3",
        "libabacus.so.3.1.4",
    ]


def test_library_in_a_package_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    packaged = site / "nvidia" / "abacus" / "lib" / "libabacus.so.3"
    for path in (packaged, elsewhere / "libabacus.so.3"):
        path.parent.mkdir(parents=True)
        path.touch()
    record = site / "nvidia_abacus-3.1.4.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-abacus\nVersion: 3.1.4\n")
    (record / "RECORD").write_text("nvidia/abacus/lib/libabacus.so.3,,\n")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(elsewhere))
    monkeypatch.syspath_prepend(str(site))
    expected = gpu.Library("libabacus.so.3", str(packaged), "3.1.4")
    assert gpu.find_library("libabacus.so.3") == expected


@pytest.mark.skipif(sys.platform != "linux", reason="ldconfig is Linux's")
@pytest.mark.skipif(not Path("/etc/ld.so.cache").is_file(), reason="there is no linker's cache")
def test_library_in_the_linkers_cache() -> None:
    found = gpu.find_library("libc.so.*")
    assert found is not None
    assert Path(found.path).is_file()


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="maps are Linux's")
def test_libraries_that_are_loaded(tmp_path: Path) -> None:
    assert gpu.loaded_libraries("libedgecnnabacus") == []
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    source, library = tmp_path / "a b.c", tmp_path / "libedgecnnabacus.so.3.1"
    source.write_text("int beads(void) { return 7; }")
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    ctypes.CDLL(str(library))
    expected = gpu.Library(library.name, str(library), "3.1")
    assert gpu.loaded_libraries("libedgecnnabacus") == [expected]
