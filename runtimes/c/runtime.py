"""Plain C, compiled here: a net without any engine.

The files are made by `edgecnn export --format c`; on a device they are compiled with its own
compiler, here with the system's. A library is compiled once and kept in the cache folder.

Options:
    compiler: `cc`, the system's own, `gcc` or `clang`; by default the first of them that is here.
    cpu: `native` (default) compiles for this CPU with all that it has, `x86-64-v3` for every x86
        with AVX2, `any` for every CPU of its kind, as a compiler without flags does.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.runtime import Availability, Options, Variant, choose_options

from .compiler import INSTALL, compiled, compilers_here, find_compiler
from .converting import convert
from .facts import read_facts
from .session import CSession

__all__ = [
    "FORMATS",
    "LIMITS",
    "MOST_THREADS",
    "NAME",
    "OPTIONS",
    "PROVIDERS",
    "TUNED",
    "availability",
    "choices",
    "convert",
    "open_session",
]

NAME = "c"
FORMATS = frozenset({"c"})
PROVIDERS = ("cpu",)
MOST_THREADS = 1
OPTIONS = {"compiler": ("cc", "gcc", "clang"), "cpu": ("native", "any", "x86-64-v3")}
TUNED = ("compiler",)
LIMITS = {
    "batch": "The C code takes one image at a time.",
    "inputs": "The C code takes one image.",
    "types": "The C code takes float32 or uint8, and gives float32.",
}


def availability(provider: str) -> Availability:
    """Say whether there is a C compiler."""
    if provider not in PROVIDERS:
        return Availability(
            ok=False,
            reason=f"The runtime '{NAME}' has no provider '{provider}'; it has cpu.",
            remedy="Use `--provider cpu`.",
        )
    for name in OPTIONS["compiler"]:
        compiler = find_compiler(name)
        if compiler is not None:
            return Availability(ok=True, versions={"compiler": compiler.version})
    return Availability(ok=False, reason="There is no C compiler here.", remedy=INSTALL)


def choices(provider: str) -> dict[str, tuple[str, ...]]:
    """Give the options that make a difference here: several names of one compiler make none."""
    compilers = compilers_here(OPTIONS["compiler"]) or OPTIONS["compiler"]
    return _options() | {"compiler": compilers}


def open_session(variant: Variant, *, provider: str, threads: int, options: Options) -> CSession:
    """Compile and load what `convert` wrote.

    Raises:
        InputError: An option is unknown.
        ModelError: A file is missing or damaged, or the compiler refuses it.
        UnavailableError: There is no such compiler.
    """
    chosen = choose_options(NAME, _options(), options)
    files = {Path(file).suffix: Path(file) for file in variant.files}
    missing = [ending for ending in (".c", ".h", ".json") if ending not in files]
    if missing:
        raise _refusal(variant.path, f"its {missing[0]} file is not beside it")
    facts = read_facts(files[".json"])
    weights = files.get(".bin")
    if (weights.stat().st_size if weights else 0) != facts.weights_bytes:
        raise _refusal(variant.path, "its weights are not those that were written")
    flags = () if chosen["cpu"] == "any" else (f"-march={chosen['cpu']}",)
    with compiled(files[".c"], chosen["compiler"], flags) as library:
        return CSession(files[".c"], library, facts, weights)


def _options() -> dict[str, tuple[str, ...]]:
    """Give what may be asked for on this machine, a compiler that is here first."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    cpus = tuple(each for each in OPTIONS["cpu"] if x86 or not each.startswith("x86"))
    # They are looked for, not asked: three answers take longer than loading a library.
    compilers = sorted(OPTIONS["compiler"], key=lambda name: shutil.which(name) is None)
    return {"compiler": tuple(compilers), "cpu": cpus}


def _refusal(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} cannot be loaded: {why}.", "Make it anew with `edgecnn export --format c`."
    )
