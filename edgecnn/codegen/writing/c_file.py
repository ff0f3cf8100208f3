"""The `.c` file, put together."""

from __future__ import annotations

from edgecnn.codegen.about import About
from edgecnn.codegen.writing.head_comment import Origin, title
from edgecnn.codegen.writing.numbers import string
from edgecnn.codegen.writing.running import running
from edgecnn.codegen.writing.source import Writer, layers
from edgecnn.codegen.writing.weights import check

# Kernels have the same names in every net; they are static, so that nets link together.
_ALONE = """\
#ifdef EDGECNN_SOURCE
#error "Two nets cannot be included into one file: compile each .c file by itself and link them."
#endif
#define EDGECNN_SOURCE
"""


def file(writer: Writer, origin: Origin, more: str = "") -> str:
    """Write the program as one C file.

    Args:
        writer: The planned program.
        origin: Where the net comes from.
        more: What stands last.
    """
    head = (
        f"/* {title(writer, origin)[3:]}\n * How to compile it and what it needs: {origin.name}.h."
    )
    parts = [f"{head} */\n", _ALONE, f'#include "{origin.name}.h"\n', layers(writer)]
    parts.append(running(writer))
    if writer.blob is not None:
        parts.append(check(writer.prefix))
    if origin.about and origin.about.contract.labels:
        parts.append(_labels(writer.prefix, origin.about))
    return "\n".join([*parts, *([more] if more else [])])


def _labels(prefix: str, about: About) -> str:
    names = "\n".join(f"    {string(label)}," for label in about.contract.labels)
    return (
        "#ifdef EDGECNN_LABELS\n"
        f"const char *const {prefix}_labels[{prefix.upper()}_CLASSES] = {{\n{names}\n}};\n"
        "#endif\n"
    )
