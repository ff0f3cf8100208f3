"""Another wheel of ONNX Runtime beside everything else that is installed: in an environment that
is thrown away, for such wheels overwrite one another's files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgecnn

_SOURCE = Path(edgecnn.__file__).parent.parent


@dataclass(frozen=True)
class Environment:
    """Python with another wheel.

    Attributes:
        paths: What it imports from, the wheel first.
    """

    paths: tuple[Path, ...]

    def python(self, program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program, whatever its exit code is."""
        return self._run(program, *arguments)

    def edgecnn(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `edgecnn` with some arguments."""
        program = "import sys; from edgecnn.cli import main; main(sys.argv[1:])"
        return self._run("-c", program, *arguments)

    def _run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", *map(str, words)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, self.paths))},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@contextmanager
def environment(folder: Path, *requirements: str) -> Iterator[Environment]:
    """Install wheels in place of those that are here, without what they require; skip without an
    index.

    They may have hundreds of megabytes, and are removed in the end.

    Args:
        folder: An empty folder.
        requirements: Such as `onnxruntime-openvino==1.24.1`.
    """
    wheel, others = folder / "wheel", folder / "others"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    done = subprocess.run(
        [*command, "--no-deps", "--only-binary", ":all:", "--target", str(wheel), *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        wanted = ", ".join(requirements)
        pytest.skip(f"{wanted} cannot be installed here: {done.stderr.strip()[-200:]}")
    others.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("onnxruntime") and path.suffix != ".pth":
            (others / path.name).symlink_to(path)
    try:
        yield Environment((wheel, others, _SOURCE))
    finally:
        shutil.rmtree(folder)
