"""The conversion in a process of its own, within limits."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgecnn.errors import RuntimeCrashed
from edgecnn.runtime import check_available
from edgecnn.spec import Converted, Variant
from edgecnn.worker import Worker

# Loading torch for the first time, on a slow disk, is most of what a small net takes.
CONVERT_SECONDS = 600.0
# A converter holds a few copies of the weights, and the libraries that it is made of.
_BYTES = 6 << 30
_COPIES = 16


@dataclass(frozen=True)
class Request:
    """What is to be converted.

    Attributes:
        runtime: Name or path of the runtime.
        source: The located variant.
        name: The new variant's name, which its files begin with.
        options: The converter's options.
        bundle: The bundle's folder.
        seconds: How long it may take.
        memory: Bytes that each of its processes may take.
    """

    runtime: str
    source: Variant
    name: str
    options: Mapping[str, str]
    bundle: Path
    seconds: float
    memory: int


def memory_for(source: Variant) -> int:
    """Give the bytes that a converter may take for a located variant."""
    return _BYTES + _COPIES * sum(Path(file).stat().st_size for file in source.files)


@dataclass(frozen=True)
class Made:
    """What came of it.

    Attributes:
        converted: What the runtime says that it made.
        versions: Versions of the packages that it uses.
        seconds: Time that it took.
    """

    converted: Converted
    versions: dict[str, str]
    seconds: float


def convert_apart(request: Request, folder: Path) -> Made:
    """Convert in a process of its own, and hold the runtime to what the contract says of files.

    Args:
        request: What is to be converted.
        folder: An empty folder.

    Raises:
        UnavailableError: The runtime's engine, or its converter, is not installed.
        RuntimeCrashed: The converter crashed, hung, or did not do what the contract asks.
        EdgeCNNError: What the converter refuses.
    """
    with Worker() as worker:
        began = time.perf_counter()
        made, versions = worker.call(
            partial(_convert, request, folder),
            request.seconds,
            what=f"The conversion of '{request.source.name}' on '{request.runtime}'",
        )
        seconds = time.perf_counter() - began
    wrong = _wrong(made, request, folder)
    if wrong:
        raise RuntimeCrashed(
            f"The runtime '{request.runtime}' {wrong}.",
            "Its `convert` must do what the head of edgecnn/runtime.py says.",
        )
    assert isinstance(made, Converted)
    return Made(made, versions, seconds)


def _convert(request: Request, folder: Path) -> tuple[object, dict[str, str]]:
    _limit_memory(request.memory)
    target = check_available(request.runtime)
    adapter: Any = target.runtime
    more = {}
    if getattr(adapter, "CONVERTS_NET", False):
        from edgecnn.bundle import open_bundle
        from edgecnn.nets import pixel_net

        more = {"net": pixel_net(open_bundle(request.bundle))}
    made = adapter.convert(
        request.source, folder, name=request.name, options=dict(request.options), **more
    )
    return made, target.versions


def _limit_memory(size: int) -> None:
    if sys.platform != "linux":
        return  # elsewhere the system does not hold a process to it
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    size = size if soft == resource.RLIM_INFINITY else min(size, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (size, hard))


def _wrong(made: object, request: Request, folder: Path) -> str:
    if not isinstance(made, Converted):
        return f"gave back a {type(made).__name__}, not a Converted"
    for file in made.files:
        path = folder / file
        if not file.startswith(f"{request.name}.") or Path(file).name != file:
            return f"named the file '{file}', which does not begin with '{request.name}.'"
        if file == f"{request.name}.golden.npz":
            return f"named the file '{file}', which is for its expected outputs"
        if path.is_symlink() or not path.is_file():
            return f"named the file '{file}' and did not write it"
    if not made.files or len({*made.files}) < len(made.files):
        return "named no file" if not made.files else "named a file twice"
    if made.batch != "dynamic" and made.batch < 1:
        return f"says that it takes batches of {made.batch}"
    if made.precision not in (None, request.source.precision, "fp16"):
        return f"made {made.precision} of {request.source.precision}"
    return ""
