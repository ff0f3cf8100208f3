"""What the C files do not say of themselves to a program: names, types and shapes, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.runtime import TensorSpec

_REMEDY = "Make it anew with `edgecnn export --format c`."


@dataclass(frozen=True)
class Facts:
    """What goes into a generated net, what comes out, and how it is called.

    Attributes:
        prefix: What the names of its functions begin with.
        input: What goes in, for one image.
        outputs: What comes out, float32, in the order in which they lie behind one another.
        weights_bytes: Size of the file of weights; 0 if they are in the C file.
        arena_bytes: Memory that a call needs.
    """

    prefix: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    weights_bytes: int
    arena_bytes: int


def write_facts(facts: Facts, path: Path) -> None:
    """Write them as JSON."""
    path.write_text(json.dumps(asdict(facts), indent=2) + "\n")


def read_facts(path: Path) -> Facts:
    """Read them back.

    Raises:
        ModelError: The file is missing, or is not what `write_facts` wrote.
    """
    try:
        found = json.loads(path.read_bytes())
        return Facts(
            str(found["prefix"]),
            _spec(found["input"]),
            tuple(map(_spec, found["outputs"])),
            int(found["weights_bytes"]),
            int(found["arena_bytes"]),
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} does not describe a net in C.", _REMEDY) from error


def _spec(found: dict[str, str | list[int]]) -> TensorSpec:
    return TensorSpec(str(found["name"]), str(found["dtype"]), tuple(map(int, found["shape"])))
