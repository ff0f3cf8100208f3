"""The system's C compiler: found, asked for its version, and used once for each net."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgecnn.disk import cache_folder
from edgecnn.errors import ModelError, UnavailableError

FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")
INSTALL = "Install one: `apt-get install gcc`."


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    Attributes:
        path: The program.
        version: The first line of what it says of itself.
    """

    path: str
    version: str


@cache
def find_compiler(name: str) -> Compiler | None:
    """Find a compiler by the name of its program; None if it is not there or does not answer."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = said.stdout.splitlines()
    return Compiler(path, lines[0].strip()) if said.returncode == 0 and lines else None


def compile_library(source: Path, compiler: str, flags: tuple[str, ...]) -> Path:
    """Compile a `.c` file to a shared library, once: the same text, compiler and CPU give the same.

    Args:
        source: The `.c` file; its `.h` file lies beside it.
        compiler: Name of the compiler's program.
        flags: More flags for it.

    Returns:
        The library, in the user's cache folder.

    Raises:
        UnavailableError: There is no such compiler.
        ModelError: It refuses the file.
    """
    found = find_compiler(compiler)
    if found is None:
        raise UnavailableError(f"There is no C compiler '{compiler}' here.", INSTALL)
    every = (*FLAGS, *flags)
    digest = hashlib.sha256()
    for part in (*_texts(source), _macros(found, every)):
        digest.update(hashlib.sha256(part).digest())
    digest.update(" ".join((found.version, *every)).encode())
    target = cache_folder() / "c" / f"{digest.hexdigest()[:32]}.so"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _compile(found, source, every, target)
    return target


def _texts(source: Path) -> tuple[bytes, ...]:
    try:
        return source.read_bytes(), source.with_suffix(".h").read_bytes()
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be read: {error.strerror}.",
            "Make it anew with `edgecnn export --format c`.",
        ) from error


def _macros(compiler: Compiler, flags: tuple[str, ...]) -> bytes:
    """Give what a compiler says of itself and of the CPU: all that it defines."""
    command = [compiler.path, *flags, "-dM", "-E", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).stdout


def _compile(compiler: Compiler, source: Path, flags: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as folder:
        made = Path(folder) / "net.so"
        command = [compiler.path, *flags, "-o", str(made), str(source)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode or not made.is_file():
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            reason = (lines or done.stderr.splitlines() or ["it says nothing"])[0].strip()
            raise ModelError(
                f"{compiler.path} does not compile {source}: {reason}.",
                "Make it anew with `edgecnn export --format c`, or use another compiler with "
                "`--option compiler=clang`.",
            )
        made.replace(target)
