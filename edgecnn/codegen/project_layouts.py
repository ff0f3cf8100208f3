"""A net in C as a folder for what people build with: an Arduino library, CMake, ESP-IDF.

A layout is a folder of templates in `runtimes/c/layouts/`, one for each file that it adds to the
net's own. They are plain files with a few names to fill in, so `string.Template` is enough, and a
device's workshop needs no package for them.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn import __version__, shelves
from edgecnn.bundle import Bundle
from edgecnn.codegen.program import ITEM_BYTES
from edgecnn.codegen.writing.numbers import C_TYPES, comment
from edgecnn.disk import disk_errors
from edgecnn.errors import InputError
from edgecnn.spec import InputContract, Variant

_ENDING = ".template"
# What every layout holds; without it, a folder is somebody's own.
_MARK = "edgecnn.json"
_HEADERS = {"arduino": "src"}
# The Arduino IDE has no place for a compiler's flags.
_LABELS_ON = "#ifndef EDGECNN_LABELS\n#define EDGECNN_LABELS\n#endif\n"


class _Template(string.Template):
    """Names are `@name` or `@{name}`: CMake has `${name}` for its own."""

    delimiter = "@"


@dataclass(frozen=True)
class _Net:
    """A net that is laid out.

    Attributes:
        bundle: Its bundle.
        variant: The located variant.
        facts: What goes in and comes out.
    """

    bundle: Bundle
    variant: Variant
    facts: Any

    @property
    def contract(self) -> InputContract:
        return self.bundle.manifest.contract

    @property
    def files(self) -> dict[str, Path]:
        """Its files by their endings."""
        return {Path(file).suffix: Path(file) for file in self.variant.files}

    @property
    def kind(self) -> str:
        """The C type of what goes in."""
        return C_TYPES[self.facts.input.dtype]

    @property
    def input_bytes(self) -> int:
        """Size of what goes in."""
        size: int = math.prod(self.facts.input.shape)
        return size * ITEM_BYTES[self.facts.input.dtype]

    @property
    def apart(self) -> bool:
        """Weights lie in a file of their own."""
        return ".bin" in self.files


def layouts() -> list[str]:
    """Give the names of all layouts."""
    return sorted(path.name for path in _shelf().iterdir() if path.is_dir())


def refuse_folder(folder: Path, *, force: bool) -> None:
    """Refuse to write where something else is.

    Args:
        folder: Where a layout is to go.
        force: A layout that is there may be replaced.

    Raises:
        InputError: The folder exists, and `force` was not given or it is no layout.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not force:
        raise InputError(
            f"{folder} already exists.",
            "Use --force to replace it, or another --output.",
        )
    if not (folder / _MARK).is_file():
        raise InputError(
            f"{folder} holds something that edgecnn did not lay out, so --force will not touch it.",
            "Use another --output.",
        )


def write_layout(
    bundle: Bundle, variant: str, layout: str, folder: Path, *, force: bool = False
) -> tuple[str, ...]:
    """Write a C variant as a folder that a build system opens; it appears whole, in one rename.

    Args:
        bundle: The bundle.
        variant: Name of a variant of the format `c`.
        layout: `arduino`, `cmake` or `esp-idf`.
        folder: Where to.
        force: Replace a layout that is there, with all that is in its folder.

    Returns:
        The files, by their paths in the folder.

    Raises:
        InputError: There is no such layout, the variant is not C, or the folder exists.
        BundleError: The variant is missing, stale or damaged.
    """
    if layout not in layouts():
        raise InputError(f"There is no layout '{layout}'.", f"Use one of {', '.join(layouts())}.")
    located = bundle.locate(variant)
    if located.format != "c":
        raise InputError(
            f"'{variant}' is {located.format}; layouts are of C.",
            "Make a C variant with `edgecnn export --format c`.",
        )
    (described,) = (Path(file) for file in located.files if file.endswith(".json"))
    facts = shelves.load_file(_shelf().parent / "facts.py").read_facts(described)
    net = _Net(bundle, located, facts)
    refuse_folder(folder, force=force)
    files = _files(net, layout)
    _write(folder, files)
    return tuple(files)


def _shelf() -> Path:
    return shelves.shelf("runtimes") / "c" / "layouts"


def _files(net: _Net, layout: str) -> dict[str, bytes]:
    words = _words(net, layout)
    headers = _HEADERS.get(layout, "include")
    found = _sources(net, layout, headers)
    if net.apart:
        text = (_shelf() / f"weights.S{_ENDING}").read_text()
        found[f"src/{net.facts.prefix}_weights.S"] = _Template(text).substitute(words).encode()
    for path in sorted((_shelf() / layout).rglob(f"*{_ENDING}")):
        name = str(path.relative_to(_shelf() / layout)).removesuffix(_ENDING)
        found[name] = _Template(path.read_text()).substitute(words).encode()
    about = {"layout": layout, "variant": net.variant.name, "edgecnn": __version__}
    found[_MARK] = (json.dumps(about, indent=2) + "\n").encode()
    return found


def _sources(net: _Net, layout: str, headers: str) -> dict[str, bytes]:
    """Give the net's own files under its prefix: two libraries' headers may not be called alike."""
    prefix, name = net.facts.prefix, net.variant.path.stem
    called = re.compile(rf"(?<![\w.-]){re.escape(name)}(?=\.[ch]\b|\.bin\b|_weights\.o\b)")
    texts = {end: called.sub(prefix, net.files[end].read_text()) for end in (".c", ".h")}
    if layout == "arduino" and net.contract.labels:
        texts[".h"] = texts[".h"].replace(
            "#include <stdint.h>\n", f"#include <stdint.h>\n{_LABELS_ON}", 1
        )
    found = {f"src/{prefix}.c": texts[".c"].encode(), f"{headers}/{prefix}.h": texts[".h"].encode()}
    if net.apart:
        found[f"src/{prefix}.bin"] = net.files[".bin"].read_bytes()
    return found


def _words(net: _Net, layout: str) -> dict[str, str]:
    """Give what the templates' names stand for."""
    prefix, size = net.facts.prefix, net.input_bytes
    named = comment(f"{net.bundle.manifest.name} ({net.variant.precision})")
    sources = [f"src/{prefix}.c"] + [f"src/{prefix}_weights.S"] * net.apart
    quote = '"{}"' if layout == "esp-idf" else "{}"
    return {
        "prefix": prefix,
        "great": prefix.upper(),
        "net": named,
        # CMake takes no more of a version than its numbers.
        "version": ".".join(re.findall(r"\d+", __version__)[:3]),
        "size": f"{size:,}",
        "sources": " ".join(quote.format(each) for each in sources),
        "languages": "C ASM" if net.apart else "C",
        "what": _what(net, size),
        "sentence": f"{named} as plain C",
        "sentence_json": json.dumps(f"{named} as plain C"),
        "paragraph": f"No dependencies; made by edgecnn. {size:,} bytes in.",
        **_call(net),
    }


def _call(net: _Net) -> dict[str, str]:
    """Give how an example calls the net and names the best class; without names, its number."""
    prefix, great = net.facts.prefix, net.facts.prefix.upper()
    labels, weights = bool(net.contract.labels), f"{prefix}_weights"
    answer = f"{prefix}_labels[best]" if labels else "best"
    form = "%s" if labels else "output %d"
    declared = f"\n/* In flash, by {weights}.S. */\nextern const unsigned char {weights}[];\n"
    return {
        "kind": net.kind,
        "given": "pixels" if net.kind == "uint8_t" else "input",
        "definitions": "EDGECNN_LABELS" if labels else "",
        "scores": f"{great}_SCORES" if labels else "0",
        "count": f"{great}_CLASSES" if labels else f"{great}_OUTPUT_SIZE",
        "answer": answer,
        "printed": f'"{form} (%g)\\n", {answer}, (double)scores[best]',
        "weights_declaration": declared if net.apart else "",
        "weights_argument": f"{weights}, " if net.apart else "",
        "weights_alone": weights if net.apart else "",
    }


def _what(net: _Net, size: int) -> str:
    """Say what goes in and what comes out, for a README."""
    shape = "x".join(str(axis) for axis in net.facts.input.shape[1:])
    given = "pixels, as they come from a decoder" if net.variant.preprocessing else "numbers"
    outputs = ", ".join(f"`{each.name}`" for each in net.facts.outputs)
    text = f"Takes {shape} {given} ({size:,} bytes), and gives {outputs} as floats"
    labels = net.contract.labels
    return f"{text}, one for each of {len(labels):,} classes." if labels else f"{text}."


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    fresh, old = (folder.with_name(f".{folder.name}.{each}") for each in ("new", "old"))
    with disk_errors(folder):
        for path in (fresh, old):
            shutil.rmtree(path, ignore_errors=True)
        try:
            for name, content in files.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(content)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
        finally:
            for path in (fresh, old):
                shutil.rmtree(path, ignore_errors=True)
