"""The same seed, the same weights: PyTorch set to repeat itself, and set back afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.utils import deterministic

from edgecnn.errors import InputError, Requirement, UnavailableError


@contextmanager
def repeatable(threads: int, device: torch.device) -> Iterator[None]:
    """Compute deterministically, in full float32, with so many threads.

    PyTorch's global generators, thread count and flags are as before when this ends.
    """
    cuda = device.type == "cuda"
    with ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices=[device] if cuda else []))
        _keep(undo, torch.get_num_threads(), torch.set_num_threads)
        mode = torch.get_deterministic_debug_mode()
        _keep(undo, mode, torch.set_deterministic_debug_mode)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        # The loop reads nothing that it has not written: filling fresh memory only costs time.
        _swap(undo, deterministic, "fill_uninitialized_memory", False)
        if cuda:
            # cuBLAS repeats itself only with a workspace of its own, chosen before its first use.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            _swap(undo, torch.backends.cudnn, "benchmark", False)
            _swap(undo, torch.backends.cudnn, "allow_tf32", False)
            _swap(undo, torch.backends.cuda.matmul, "allow_tf32", False)
        yield


def find_device(name: str) -> torch.device:
    """Find the device to train on: `cpu`, `cuda`, or `auto` for CUDA where there is one.

    Raises:
        UnavailableError: CUDA was asked for and there is none.
        InputError: The device has another name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"There is no device '{name}'.", "Use --device auto, cpu or cuda.")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        built = torch.version.cuda
        raise UnavailableError(
            "CUDA was asked for, but PyTorch finds no CUDA device.",
            "Use --device cpu, or see what is missing with `edgecnn doctor`.",
            (
                Requirement("PyTorch", "built for CUDA", built or "built for the CPU", bool(built)),
                Requirement("GPU", "one that CUDA can use", "none", ok=False),
            ),
        )
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Name a device for people: `cpu`, or `cuda` with the GPU's name."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def _keep(undo: ExitStack, value: int, put: Callable[[int], None]) -> None:
    undo.callback(put, value)


def _swap(undo: ExitStack, place: object, name: str, value: object) -> None:
    undo.callback(setattr, place, name, getattr(place, name))
    setattr(place, name, value)
