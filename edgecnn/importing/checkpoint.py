"""A file of weights, read without running anything that stands in it.

safetensors, or what `torch.save` wrote. PyTorch's files are pickles: they are read with
`weights_only=True`, and where one names a class that PyTorch does not know, an empty stand-in takes
its place, so that a checkpoint whose optimizer or arguments are strange still gives its weights.
"""

from __future__ import annotations

import json
import re
import shlex
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from edgecnn.errors import ModelError

_STRANGER = re.compile(r"GLOBAL (\S+) was not an allowed global")
_MOST_STRANGERS = 100
_HEAD = 256
TORCH_LOAD = 'torch.load(FILE, map_location="cpu", weights_only=False)'


class Stranger:
    """Stands for an object of a class that was not loaded; it holds and does nothing."""

    def __new__(cls, *_: object, **__: object) -> Stranger:
        """Make one from whatever the file gives it."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    @classmethod
    def called(cls) -> str:
        """Give the name of the class that it stands for."""
        return f"{cls.__module__}.{cls.__qualname__}"


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        content: What was saved: tensors by name, or a dict around them.
        strangers: Classes that were not loaded.
    """

    content: object
    strangers: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights.

    Raises:
        ModelError: It is missing, damaged, or holds something else.
    """
    head = _head(path)
    _refuse_other_files(path, head)
    if head[:2] == b"PK":
        _refuse_other_archives(path)
    if head[8:9] == b"{":
        return Checkpoint(_read_safetensors(path))
    return _read_pickle(path)


def rescue(path: Path, expression: str = "") -> str:
    """Give the command that saves the weights alone, for who trusts the file.

    Args:
        path: The file.
        expression: Python that gives the net, `FILE` standing for the path; what torch.load gives,
            by default.
    """
    expression = expression or TORCH_LOAD
    net = expression.replace("FILE", json.dumps(str(path), ensure_ascii=False))
    code = f'import torch; torch.save({net}.state_dict(), "weights.pth")'
    return (
        "Where you trust it, save its weights alone, and name those with --weights: "
        f"`python -c {shlex.quote(code)}`."
    )


def _head(path: Path) -> bytes:
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors")) + sorted(path.glob("*.bin"))
        found = f"Name the file in it: --weights {inside[0]}." if inside else "Name a file."
        raise ModelError(f"{path} is a folder, not a file of weights.", found)
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _refuse_other_files(path: Path, head: bytes) -> None:
    begins = head.lstrip().lower()
    if not head:
        raise ModelError(f"{path} is empty.", "Copy or download it again.")
    if begins.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path} is a Git LFS pointer: the weights themselves were not downloaded.",
            "Fetch them with `git lfs pull`.",
        )
    if begins.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError(f"{path} is a web page, not weights.", "Download the file itself.")
    if path.suffix == ".onnx":
        raise ModelError(
            f"{path} is an ONNX file, which holds its net as well.",
            f"Import it alone: `edgecnn import {shlex.quote(str(path))}`.",
        )
    if head.startswith(b"\x89HDF") or path.suffix in {".keras", ".h5"}:
        raise ModelError(
            f"{path} holds Keras weights, which fit no PyTorch net.",
            "Convert the model to ONNX with tf2onnx, and import that.",
        )


def _refuse_other_archives(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # torch's own reader says what is wrong
    inside = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in inside:
        raise ModelError(
            f"{path} is a TorchScript archive: a compiled net, not weights.",
            rescue(path, 'torch.jit.load(FILE, map_location="cpu")'),
        )
    if "archive_format" in inside:
        raise ModelError(
            f"{path} is a program of torch.export, not weights.",
            rescue(path, "torch.export.load(FILE).module()"),
        )
    if "data.pkl" not in inside:
        raise ModelError(f"{path} is a zip archive that torch.save did not write.", "Unpack it.")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ModelError(
            f"{path} unpacks to more than its own size, which no file of torch.save does.",
            "Do not use it.",
        )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, "safetensors", error) from error


def _read_pickle(path: Path) -> Checkpoint:
    stand_ins: dict[str, Any] = {}
    while True:
        try:
            with (
                torch.serialization.safe_globals(list(stand_ins.values())),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")
                content = torch.load(path, map_location="cpu", weights_only=True)
            return Checkpoint(content, tuple(stand_ins))
        except Exception as error:  # a damaged pickle fails in every way there is
            stranger = _STRANGER.search(str(error))
            if stranger is None or stranger[1] in stand_ins or len(stand_ins) == _MOST_STRANGERS:
                raise _no_weights(path, error, stand_ins) from error
            stand_ins[stranger[1]] = _stand_in(stranger[1])


def _load(path: Path, stand_ins: list[Any]) -> object:
    with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _stand_in(name: str) -> type[Stranger]:
    module, _, title = name.rpartition(".")
    place = {"__module__": module or "builtins", "__qualname__": title}
    return type(title, (Stranger,), place)


def _no_weights(path: Path, error: Exception, strangers: Collection[str]) -> ModelError:
    if "legacy .tar" in str(error):
        return ModelError(f"{path} is in a format older than PyTorch 0.2.", rescue(path))
    if isinstance(error, MemoryError):
        return ModelError(f"{path} does not fit into this machine's memory.", "Use a larger one.")
    if strangers and isinstance(error, UnpicklingError):
        return ModelError(
            f"{path} is a pickle of {', '.join(strangers)}, which only running its code can read.",
            rescue(path),
        )
    return _damaged(path, "PyTorch file", error)


def _damaged(path: Path, kind: str, error: Exception) -> ModelError:
    text = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
    known = text and not text.isdigit() and not isinstance(error, UnpicklingError)
    reason = f" ({text})" if known else ""
    return ModelError(
        f"{path} cannot be read as weights: it is no {kind}, or is damaged{reason}.",
        "Copy or download it again; weights are saved with torch.save(net.state_dict(), …) or as "
        "safetensors.",
    )
