"""What it costs to generate and to compile a net as C."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecnn.bundle import Bundle
from edgecnn.shelves import load_runtime

FLAGS = ("-std=c99", "-O3", "-march=native", "-shared", "-fPIC")


@dataclass(frozen=True)
class Compiling:
    """One variant of a net, generated anew and compiled.

    Attributes:
        net: The bundle's name.
        variant: The ONNX variant.
        compiler: Its program.
        generate_seconds: Time to generate the C files.
        compile_seconds: Time to compile them.
        source_bytes: Size of the `.c` file.
        weights_bytes: Size of the file of weights; 0 if they are in the `.c` file.
        library_bytes: Size of what was compiled.
    """

    net: str
    variant: str
    compiler: str
    generate_seconds: float
    compile_seconds: float
    source_bytes: int
    weights_bytes: int
    library_bytes: int

    @property
    def line(self) -> str:
        """Say it in a sentence."""
        weights = f" and {self.weights_bytes / 1e6:.1f} MB of weights" * bool(self.weights_bytes)
        return (
            f"- {self.net} {self.variant}: generated in {self.generate_seconds:.1f} s, a .c "
            f"file of {self.source_bytes / 1e3:.0f} kB{weights}; {self.compiler} takes "
            f"{self.compile_seconds:.1f} s and makes {self.library_bytes / 1e3:.0f} kB."
        )


def compiling(bundle: Bundle) -> Iterator[Compiling]:
    """Generate the fp32 and int8 variants of a bundle as C, and compile each with gcc and clang."""
    for variant in ("fp32", "int8"):
        with tempfile.TemporaryDirectory() as name:
            folder, began = Path(name), time.perf_counter()
            load_runtime("c").convert(bundle.locate(variant), folder, name="net", options={})
            generated = time.perf_counter() - began
            weights = folder / "net.bin"
            for compiler in ("gcc", "clang"):
                began = time.perf_counter()
                words = [compiler, *FLAGS, "-o", "net.so", "net.c"]
                subprocess.run(words, cwd=folder, check=True)
                yield Compiling(
                    bundle.folder.name,
                    variant,
                    compiler,
                    generated,
                    time.perf_counter() - began,
                    (folder / "net.c").stat().st_size,
                    weights.stat().st_size if weights.is_file() else 0,
                    (folder / "net.so").stat().st_size,
                )
