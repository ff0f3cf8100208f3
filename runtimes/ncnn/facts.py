"""What an ncnn model does not say of itself: names, types and shapes, in a small file beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.runtime import TensorSpec

_REMEDY = "Make it anew with `edgecnn export --format ncnn`."


@dataclass(frozen=True)
class Facts:
    """What goes into a model and what comes out.

    Attributes:
        input: What goes in: uint8 [1, H, W, C] pixels, or float32 [1, C, H, W].
        input_blob: ncnn's own name for it.
        outputs: What comes out, float32, as the ONNX file declares it, for one image.
        output_blobs: ncnn's own names for them, in the same order.
        bytes: Size of the weights' file: ncnn does not notice all that is missing.
    """

    input: TensorSpec
    input_blob: str
    outputs: tuple[TensorSpec, ...]
    output_blobs: tuple[str, ...]
    bytes: int

    @property
    def pixels(self) -> bool:
        """Whether raw pixels go in."""
        return self.input.dtype == "uint8"

    @staticmethod
    def sizes(spec: TensorSpec) -> tuple[int, ...]:
        """Give the shape of an output for one image."""
        return tuple(axis for axis in spec.shape if isinstance(axis, int))


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
        facts = Facts(
            _spec(found["input"]),
            str(found["input_blob"]),
            tuple(map(_spec, found["outputs"])),
            tuple(map(str, found["output_blobs"])),
            int(found["bytes"]),
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} does not describe an ncnn model.", _REMEDY) from error
    if len(facts.outputs) != len(facts.output_blobs) or len(facts.input.shape) != 4:
        raise ModelError(f"{path} does not describe an ncnn model.", _REMEDY)
    return facts


def _spec(found: dict[str, str | list[int]]) -> TensorSpec:
    return TensorSpec(str(found["name"]), str(found["dtype"]), tuple(map(int, found["shape"])))
