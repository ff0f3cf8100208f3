"""The C kernels, as text: what they need of one another, and what they are called with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_INCLUDE = re.compile(r'^#include "([\w./]+)"\n', re.MULTILINE)
_HEAD = re.compile(r'\A(/\*.*?\*/\n)((?:#include "[\w./]+"\n)+)', re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel's function.

    Attributes:
        name: Its name.
        kind: Its C type, such as `const float *`.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Kernel:
    """A kernel: the file NAME.h with a function NAME and a struct NAME.

    Attributes:
        name: Its name.
        parameters: Of its function, without the struct, which is the last.
        fields: Of its struct, in order, with their C types.
    """

    name: str
    parameters: tuple[Parameter, ...]
    fields: tuple[Parameter, ...]


@dataclass(frozen=True)
class Kernels:
    """A folder of kernels.

    Attributes:
        folder: Where they lie, each in a file of its own. Beside them lie, in `parts/`, what
            several share, and in `cpus/` what each CPU does in its own way; includes are written
            from this folder on.
    """

    folder: Path
    _texts: dict[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the kernels."""
        return frozenset(path.stem for path in self.folder.glob("*.h"))

    def kernel(self, name: str) -> Kernel:
        """Look a kernel up."""
        text = _COMMENT.sub("", self._text(f"{name}.h"))
        function = re.search(rf"^INLINE void {name}\((.*?)\)\n{{", text, re.DOTALL | re.MULTILINE)
        struct = re.search(rf"^struct {name} {{(.*?)}};", text, re.DOTALL | re.MULTILINE)
        assert function, f"{name}.h has no function {name}"
        assert struct, f"{name}.h has no struct {name}"
        parameters = [_parameter(each) for each in function[1].split(",")]
        assert parameters[-1] == Parameter("s", f"const struct {name} *"), name
        return Kernel(name, tuple(parameters[:-1]), tuple(_fields(struct[1])))

    def text(self, names: list[str]) -> str:
        """Give kernels with all that they include, each file once and before it is needed."""
        seen: dict[str, None] = {}
        return "\n".join(self._pasted(f"{name}.h", seen).strip("\n") + "\n" for name in names)

    def _pasted(self, file: str, seen: dict[str, None]) -> str:
        if file in seen:
            return ""
        seen[file] = None
        # What a file needs stands before the comment at its head, not between that and the file.
        text = _HEAD.sub(lambda found: f"{found[2]}\n{found[1]}", self._text(file))
        return _INCLUDE.sub(lambda found: self._pasted(found[1], seen), text)

    def _text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = (self.folder / file).read_text()
        return self._texts[file]


def _fields(body: str) -> Iterator[Parameter]:
    for line in filter(None, (each.strip() for each in body.split(";"))):
        kind, _, names = line.partition(" ")
        yield from (Parameter(name.strip(), kind) for name in names.split(","))


def _parameter(text: str) -> Parameter:
    kind, name = re.fullmatch(r"\s*(.*?)(\w+)\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return Parameter(name, " ".join(kind.split()))
