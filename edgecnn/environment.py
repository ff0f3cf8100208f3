"""What there is to work with: this computer, its GPUs, the packages, every runtime and provider."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import ClassVar

from edgecnn import __version__, gpu, machine, shelves
from edgecnn.errors import EdgeCNNError
from edgecnn.gpu import Library, Nvidia
from edgecnn.machine import Machine
from edgecnn.runtime import Availability, load_runtime
from edgecnn.worker import availabilities

_SETTINGS = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "ORT_DISABLE_TELEMETRY")


@dataclass(frozen=True)
class Package:
    """A package that edgecnn can use.

    Attributes:
        name: Its name on the package index.
        version: The installed version; None if it is not installed.
        extra: The extra of edgecnn that brings it; empty if edgecnn always needs it.
    """

    name: str
    version: str | None
    extra: str


@dataclass(frozen=True)
class Place:
    """A runtime on one of its providers, and whether it can run there."""

    runtime: str
    provider: str
    availability: Availability


@dataclass(frozen=True)
class Environment:
    """What there is to work with.

    Attributes:
        edgecnn: Version of edgecnn.
        executable: The Python that runs.
        machine: This computer.
        affinity_cores: Cores that the process's affinity allows.
        quota_cores: The cores' worth of time that its cgroup grants; None if unlimited.
        memory_limit_bytes: What its cgroup grants; None if unlimited.
        nvidia: NVIDIA's driver and GPUs.
        libraries: CUDA's runtime and cuDNN, wherever they were found.
        settings: Environment variables that change what runs where, if set.
        packages: Packages that edgecnn can use.
        places: Every runtime on each of its providers.
    """

    KIND: ClassVar[str] = "doctor"

    edgecnn: str
    executable: str
    machine: Machine
    affinity_cores: int
    quota_cores: float | None
    memory_limit_bytes: int | None
    nvidia: Nvidia
    libraries: tuple[Library, ...]
    settings: dict[str, str]
    packages: tuple[Package, ...]
    places: tuple[Place, ...]


def examine() -> Environment:
    """Look at everything; nothing is installed, changed or required."""
    return Environment(
        edgecnn=__version__,
        executable=sys.executable,
        machine=machine.this_machine(),
        affinity_cores=machine.affinity_cores(),
        quota_cores=machine.cgroup_quota(),
        memory_limit_bytes=machine.cgroup_memory(),
        nvidia=gpu.nvidia(),
        libraries=tuple(_cuda_libraries()),
        settings={name: os.environ[name] for name in _SETTINGS if name in os.environ},
        packages=tuple(_packages()),
        places=tuple(_places()),
    )


def _cuda_libraries() -> Iterator[Library]:
    for pattern in ("libcudart.so.*", "libcudnn.so.*"):
        yield from gpu.find_libraries(pattern)


def _packages() -> Iterator[Package]:
    lines = _requirements()
    extras = [(_name(line), _extra(line)) for line in lines]
    sizes = Counter(extra for _, extra in extras)
    conditional = {_name(line) for line in lines if "python_version" in line}
    for name in dict.fromkeys(name for name, _ in extras if name != "edgecnn"):
        installed = _version(name)
        if installed or name not in conditional:
            # Several extras may bring a package; the smallest says best what it is for.
            smallest = min((extra for n, extra in extras if n == name), key=lambda e: sizes[e])
            yield Package(name, installed, smallest)


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]


def _extra(requirement: str) -> str:
    found = re.search(r"extra == ['\"](\w+)['\"]", requirement)
    return found[1] if found else ""


def _requirements() -> list[str]:
    try:
        return requires("edgecnn") or []
    except PackageNotFoundError:  # run from its folder
        return []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def other_providers(runtime: str) -> tuple[str, ...]:
    """Name the providers that a runtime takes by name, where its engine has them."""
    names: tuple[str, ...] = getattr(load_runtime(runtime), "OTHER_PROVIDERS", ())
    return names


def _places() -> Iterator[Place]:
    for name in shelves.runtime_names():
        try:
            runtime = load_runtime(name)
        except EdgeCNNError as error:
            yield Place(name, "", Availability(ok=False, reason=error.problem, remedy=error.remedy))
            continue
        # Few of the others are ever here, and none that is not would tell anything.
        providers = (*runtime.PROVIDERS, *other_providers(name))
        for provider, found in zip(providers, availabilities(name, providers), strict=True):
            if provider in runtime.PROVIDERS or found.ok:
                yield Place(name, provider, found)
