"""The system's C compiler: found, asked for its version, and used once for each net."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgecnn.disk import cache_folder, temporary_folder, write_atomically
from edgecnn.errors import EdgeCNNError, ModelError, UnavailableError

FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")
INSTALL = (
    "Install one: `apt-get install gcc` on Debian and Ubuntu, `dnf install gcc` on Fedora, "
    "`xcode-select --install` on macOS."
)


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


def compilers_here(names: Sequence[str]) -> tuple[str, ...]:
    """Give those names of compilers that are here; of several names of one compiler, the first."""
    found: dict[str, str] = {}
    for name in names:
        compiler = find_compiler(name)
        if compiler is not None:  # GCC begins with the name that it was called by
            found.setdefault(compiler.version.partition(" ")[2], name)
    return tuple(found.values())


@contextmanager
def compiled(source: Path, compiler: str, flags: tuple[str, ...]) -> Iterator[Path]:
    """Give a `.c` file as a shared library: the same text, compiler and CPU are compiled once.

    Libraries are kept in the user's cache folder, each with its digest, and what is damaged is
    made anew. Where that folder cannot be written, a library lives until it is loaded.

    Args:
        source: The `.c` file; its `.h` file lies beside it.
        compiler: Name of the compiler's program.
        flags: More flags for it.

    Raises:
        UnavailableError: There is no such compiler, or no room on the disk for what it makes.
        ModelError: It refuses the file, or a file is missing.
    """
    found = find_compiler(compiler)
    if found is None:
        raise UnavailableError(f"There is no C compiler '{compiler}' here.", INSTALL)
    every = (*FLAGS, *flags)
    key = hashlib.sha256()
    for part in (*_texts(source), _macros(found, every), found.version.encode()):
        key.update(hashlib.sha256(part).digest())
    kept = _kept(key.hexdigest()[:32])
    if kept is not None and _is_whole(kept):
        yield kept
        return
    with temporary_folder() as folder:
        made = Path(folder) / "net.so"
        _compile(found, source, every, made)
        yield made if kept is None or not _keep(made, kept) else kept


def _kept(key: str) -> Path | None:
    try:
        return cache_folder() / "c" / f"{key}.so"
    except RuntimeError:  # there is no home
        return None


def _is_whole(library: Path) -> bool:
    try:
        content = library.read_bytes()
        return library.with_suffix(".sha256").read_text() == hashlib.sha256(content).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _keep(made: Path, kept: Path) -> bool:
    content = made.read_bytes()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, content)
        write_atomically(kept.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode())
    except (OSError, EdgeCNNError):
        return False
    return True


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


def _compile(compiler: Compiler, source: Path, flags: tuple[str, ...], made: Path) -> None:
    done = subprocess.run(
        [compiler.path, *flags, "-o", str(made), str(source)],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode == 0 and made.is_file():
        return
    if "No space left" in done.stderr or "quota exceeded" in done.stderr:
        raise UnavailableError(
            f"{compiler.path} has no room on the disk to compile {source}.",
            f"Free some space in {made.parent.parent}, or let TMPDIR name another folder.",
        )
    reason = f"it was ended by signal {-done.returncode}"
    raise ModelError(
        f"{compiler.path} does not compile {source}: "
        f"{reason if done.returncode < 0 else _complaint(done.stderr)}.",
        "Make it anew with `edgecnn export --format c`, or put another compiler first on PATH.",
    )


def _complaint(said: str) -> str:
    """Give the first error that was printed; compilers repeat in other words what a linker says."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line and not line.startswith("collect2")]
    return (errors or lines or ["it says nothing"])[0].rstrip(".")
