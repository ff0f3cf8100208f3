"""ncnn's .param files: one line for each layer, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors import ModelError

_MAGIC = "7767517"
_REMEDY = "Convert another form of the net, or use another --format."


def layers(path: Path) -> list[list[str]]:
    """Read the words of each layer: its kind, its name, how many it reads and makes, their names.

    Raises:
        ModelError: It is no such file, or not a whole one.
    """
    try:
        head, counts, *lines = path.read_text().splitlines()
        count = int(counts.split()[0])
    except OSError as error:
        raise _refusal(path, f"it cannot be read: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise _refusal(path, "it is no .param file") from error
    found = [line.split() for line in lines if line.strip()]
    if head.strip() != _MAGIC or len(found) != count or any(len(words) < 4 for words in found):
        raise _refusal(path, "it is no whole .param file")
    return found


def check_layers(path: Path) -> list[list[str]]:
    """Read the layers, and refuse what this ncnn does not have: it would say so on stderr alone.

    Raises:
        ModelError: It is no .param file, or has a layer of an unknown kind.
    """
    import ncnn

    found = layers(path)
    unknown = sorted({words[0] for words in found if ncnn.layer_to_index(words[0]) < 0})
    if unknown:
        raise _refusal(path, f"ncnn has no layer {', '.join(unknown)}", _REMEDY)
    return found


def text(found: Sequence[Sequence[str]]) -> str:
    """Give the text of a file with these layers."""
    blobs = sum(int(words[3]) for words in found)
    lines = [_MAGIC, f"{len(found)} {blobs}", *(" ".join(words) for words in found)]
    return "\n".join(lines) + "\n"


def _refusal(path: Path, why: str, remedy: str = "") -> ModelError:
    remedy = remedy or "Make it anew with `edgecnn export --format ncnn`."
    return ModelError(f"ncnn refuses {path}: {why}.", remedy)
