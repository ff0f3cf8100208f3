"""The weights in a checkpoint: out of what training tools put around them, and named as the net's.

Whatever is taken, left or renamed is said.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edgecnn.errors import ModelError
from edgecnn.importing.checkpoint import TORCH_LOAD, Checkpoint, Stranger, read_checkpoint, rescue
from edgecnn.nets.making import plain

State = dict[str, torch.Tensor]

# The averaged weights first: who keeps both evaluates those.
_AVERAGED = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
    "params_ema",
    "averaged_model",
    "swa_model",
)
_PLAIN = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net_state_dict",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
_COMPILED = "_orig_mod"
_DEEPEST = 4
_NAMED = 5
_REPEATED_BYTES = 1 << 24  # buffers that some nets expand are far smaller


@dataclass(frozen=True)
class Weights:
    """Weights of a net.

    Attributes:
        path: The file.
        state: Tensors by name.
        notes: What was unwrapped and left out.
        settings: What the checkpoint says of how its net was made (Lightning's hyper_parameters,
            or args): plain values by name.
    """

    path: Path
    state: State
    notes: tuple[str, ...]
    settings: Mapping[str, bool | int | float | str]


def read_weights(path: Path, key: str | None = None) -> Weights:
    """Read the weights of a file, out of whatever is around them.

    Args:
        path: safetensors, or what torch.save wrote.
        key: The entry of the checkpoint that holds the weights; by default the averaged ones, else
            those under a name in common use, else the only ones.

    Raises:
        ModelError: The file holds no weights, or several and none is named.
    """
    checkpoint = read_checkpoint(path)
    content, steps = checkpoint.content, []
    if key is not None:
        content = _entry(path, content, key)
        steps.append(key)
    while len(steps) < _DEEPEST and (name := _wrapper(path, content, checkpoint)) is not None:
        assert isinstance(content, Mapping)
        content = content[name]
        steps.append(name)
    state, left = _tensors(path, content, checkpoint)
    notes = _told(checkpoint, steps, key, left)
    return Weights(path, state, tuple(notes), _settings(checkpoint.content))


def match_names(weights: Weights, wanted: Collection[str]) -> Weights:
    """Bring the names of the weights to those of a net, as far as a prefix parts them.

    torch.compile's `_orig_mod` goes from everywhere; of what stands in front of all names, such as
    DataParallel's `module.` or Lightning's `model.`, that goes which makes most names the net's.
    """
    state = {_uncompiled(name): tensor for name, tensor in weights.state.items()}
    notes = [f"Unwrapped the prefix {_COMPILED}."] if state.keys() != weights.state.keys() else []
    prefix = _prefix(state, wanted)
    if prefix:
        inside = {name[len(prefix) :]: t for name, t in state.items() if name.startswith(prefix)}
        left = [name for name in state if not name.startswith(prefix)]
        kept_out = f" and left out {listed(left)}" if left else ""
        notes.append(f"Unwrapped the prefix {prefix[:-1]}{kept_out}.")
        state = inside
    return Weights(weights.path, state, (*weights.notes, *notes), weights.settings)


def to_float32(weights: Weights, floats: Collection[str] = ()) -> Weights:
    """Bring floating-point weights to float32, and say which were something else.

    Args:
        weights: The weights, under the names of the net.
        floats: Those that the net computes with as floats. Integers there were quantized by hand,
            and without their scales, which a net has no place for, they are other numbers.

    Raises:
        ModelError: They are quantized, complex, or hold NaN or infinity.
    """
    kinds: dict[str, int] = {}
    state = {}
    for name, tensor in weights.state.items():
        whole = name in floats and not tensor.is_floating_point()
        if whole or tensor.is_quantized or tensor.is_complex() or tensor.is_sparse:
            raise ModelError(
                f"'{listed([name])}' in {weights.path} is a tensor of {tensor.dtype} and "
                f"{tensor.layout}, "
                "which no float32 net takes.",
                "Import the weights as they were before they were converted.",
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            kinds[kind] = kinds.get(kind, 0) + 1
        state[name] = plain(tensor)
    _refuse_infinite(weights.path, state)
    notes = [f"{count} tensors were {kind} and are float32 now." for kind, count in kinds.items()]
    return Weights(weights.path, state, (*weights.notes, *notes), weights.settings)


def listed(names: Sequence[str], most: int = _NAMED) -> str:
    """List names, the first of them if they are many, without what would steer a terminal."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(n if n.isprintable() else ascii(n) for n in names[:most]) + more


def quoted(value: object) -> str:
    """Write what a file says so that it can be pasted into a shell, and runs nothing there."""
    text = str(value)
    return shlex.quote(text if text.isprintable() else ascii(text))


def _refuse_infinite(path: Path, state: State) -> None:
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            f"The weights in {path} hold NaN or infinity: {listed(broken)}.",
            "Use an earlier checkpoint of the training.",
        )


def _entry(path: Path, content: object, key: str) -> object:
    if isinstance(content, Mapping) and key in content:
        return content[key]
    entries = [str(name) for name in content] if isinstance(content, Mapping) else []
    raise ModelError(f"{path} has no entry '{key}'.", f"It has {listed(entries) or 'none'}.")


def _wrapper(path: Path, content: object, checkpoint: Checkpoint) -> str | None:
    """Name the entry that holds the weights; None where the tensors are here."""
    if not isinstance(content, Mapping):
        return None
    boxes = [name for name, value in content.items() if _holds_tensors(value)]
    nets = [name for name in (*_AVERAGED, *_PLAIN) if isinstance(content.get(name), Stranger)]
    for name in (*_AVERAGED, *_PLAIN):
        if name in boxes:
            return name
    if nets:
        raise _pickled_net(path, content[nets[0]], f'["{nets[0]}"]')
    if any(isinstance(value, torch.Tensor) for value in content.values()) or not boxes:
        return None
    boxes = [name for name in boxes if "optim" not in str(name)]
    if len(boxes) == 1:
        return str(boxes[0])
    raise ModelError(
        f"{path} holds several things that may be the weights: {listed([str(b) for b in boxes])}.",
        f"Say which with --weights-key {quoted(boxes[0])}.",
    )


def _holds_tensors(value: object, depth: int = 1) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return False
    if any(isinstance(entry, torch.Tensor) for entry in value.values()):
        return True
    return depth < _DEEPEST and any(
        _holds_tensors(value[name], depth + 1) for name in (*_AVERAGED, *_PLAIN) if name in value
    )


def _tensors(path: Path, content: object, checkpoint: Checkpoint) -> tuple[State, list[str]]:
    if isinstance(content, Stranger):
        raise _pickled_net(path, content, "")
    tensors = {}
    if isinstance(content, Mapping):
        tensors = {str(name): v for name, v in content.items() if isinstance(v, torch.Tensor)}
    if not tensors or not isinstance(content, Mapping):
        what = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            what = f"a dict of {listed([str(name) for name in content]) or 'nothing'}"
        raise ModelError(
            f"{path} holds {what}, and no weights by name.",
            "Save them with torch.save(net.state_dict(), 'weights.pth').",
        )
    for name, tensor in tensors.items():
        _refuse_hollow(path, name, tensor)
    return tensors, [str(name) for name in content if str(name) not in tensors]


def _refuse_hollow(path: Path, name: str, tensor: torch.Tensor) -> None:
    """Refuse a tensor without numbers of its own; a few bytes may stand for any number of them."""
    if tensor.is_meta or tensor.is_nested:
        what = "has a shape and no numbers" if tensor.is_meta else "is several tensors in one"
    elif tensor.layout == torch.strided and _repeats(tensor):
        what = f"repeats a few numbers to {tensor.numel():,}"
    else:
        return
    raise ModelError(
        f"'{listed([name])}' in {path} {what}, which is no weight.",
        "Save the weights of the net as it was trained.",
    )


def _repeats(tensor: torch.Tensor) -> bool:
    size = tensor.numel() * tensor.element_size()
    return size > max(_REPEATED_BYTES, tensor.untyped_storage().nbytes())


def _pickled_net(path: Path, content: object, place: str) -> ModelError:
    assert isinstance(content, Stranger)
    return ModelError(
        f"{path} holds a pickled {content.called()}, a whole net, which only running its code can "
        "read.",
        rescue(path, TORCH_LOAD + place),
    )


def _told(checkpoint: Checkpoint, steps: list[str], key: str | None, left: list[str]) -> list[str]:
    notes = []
    if steps:
        others = checkpoint.content if isinstance(checkpoint.content, Mapping) else {}
        also = [name for name in others if name != steps[0] and _holds_tensors(others[name])]
        also = [name for name in also if name in (*_AVERAGED, *_PLAIN)]
        note = f"Unwrapped the entry {' / '.join(steps)}"
        if also and key is None:
            note += f"; --weights-key {quoted(also[0])} takes the other weights"
        notes.append(note + ".")
    if left:
        notes.append(f"Left out what is no tensor: {listed(left)}.")
    if checkpoint.strangers:
        notes.append(f"Left unread in the file: {listed(checkpoint.strangers)}.")
    return notes


def _settings(content: object) -> dict[str, bool | int | float | str]:
    if not isinstance(content, Mapping):
        return {}
    found = content.get("hyper_parameters", content.get("args"))
    if not isinstance(found, Mapping):
        return {}
    return {str(k): v for k, v in found.items() if isinstance(v, bool | int | float | str)}


def _uncompiled(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def _prefix(state: State, wanted: Collection[str]) -> str:
    """Give the prefix without which most names are the net's; the averaged, then the shortest."""
    names = set(wanted)
    hits: dict[str, int] = {"": len(names & state.keys())}
    for name in state:
        parts = name.split(".")
        for count in range(1, len(parts)):
            if ".".join(parts[count:]) in names:
                prefix = ".".join(parts[:count]) + "."
                hits[prefix] = hits.get(prefix, 0) + 1
    return max(hits, key=lambda prefix: (hits[prefix], prefix == "", "ema" in prefix, -len(prefix)))
