"""Say what this machine has, and what each runtime needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli._options import json_option, print_report
from edgecnn.cli._terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.environment import Environment, Package, Place


@click.command(name="doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what this machine has, and what each runtime needs.

    Python and packages, CPU and the features that matter, the cores and memory allowed, GPUs with
    their driver, CUDA and cuDNN, and every runtime on each of its providers. Installs nothing.
    """
    from edgecnn.environment import examine
    from edgecnn.reports import make_report

    found = examine()
    if as_json:
        print_report(make_report("doctor", found, {}))
    else:
        _show(found)


def _show(found: Environment) -> None:
    from edgecnn.cli._show import facts, table

    facts(_facts(found))
    say("")
    if found.packages:
        table("Packages", ("", "installed", "comes with"), map(_package, found.packages))
    table("Runtimes", ("", "provider", "", "uses"), map(_place, found.places), left=2)
    if by_name := dict(_by_name(found)):
        say("Providers that are taken by name, where the engine has them:\n")
        facts(by_name.items())
        say("")
    for place in found.places:
        if place.availability.requirements or not place.availability.ok:
            _explain(place)


def _by_name(found: Environment) -> Iterator[tuple[str, str]]:
    from edgecnn.environment import other_providers

    here = {(place.runtime, place.provider) for place in found.places}
    for runtime in dict.fromkeys(place.runtime for place in found.places if place.provider):
        absent = [name for name in other_providers(runtime) if (runtime, name) not in here]
        if absent:
            yield runtime, ", ".join(absent)


def _facts(found: Environment) -> Iterator[tuple[str, str]]:
    from edgecnn.cli._show import size

    here, nvidia = found.machine, found.nvidia
    yield "edgecnn", f"{found.edgecnn} on Python {here.python}, {found.executable}"
    yield "Machine", f"{here.name}: {here.system}, {here.architecture}"
    yield "CPU", here.cpu
    yield "Features", ", ".join(here.features) or "none of those that matter here"
    quota = f"{found.quota_cores:g} by its cgroup" if found.quota_cores else "no limit by a cgroup"
    limits = f"{found.affinity_cores} by its affinity, {quota}"
    yield "Cores", f"{here.allowed_cores} of {here.cores} allowed: {limits}"
    limit = found.memory_limit_bytes
    allowed = f", {size(limit)} of it allowed by its cgroup" if limit else ""
    yield "Memory", f"{size(here.memory_bytes)}{allowed}"
    cards = [
        f"{card.name}, {size(card.memory_bytes)}, compute capability {card.compute_capability}"
        for card in nvidia.gpus
    ]
    yield "GPUs", "; ".join(cards) or f"none that CUDA can use: {nvidia.problem}"
    newest = f"up to CUDA {nvidia.cuda}" if nvidia.cuda else "none"
    yield "NVIDIA driver", f"{nvidia.driver} {newest}".strip()
    libraries = [f"{one.name} {one.version} in {Path(one.path).parent}" for one in found.libraries]
    yield "CUDA, cuDNN", "\n".join(libraries) or "none found"
    yield from found.settings.items()


def _package(package: Package) -> tuple[str, str, str]:
    extra = f"\\[{package.extra}]" if package.extra else ""
    missing = f"no: `pip install 'edgecnn{extra}'`"
    return package.name, package.version or missing, f"edgecnn{extra}"


def _place(place: Place) -> tuple[str, str, str, str]:
    state = "[green]available[/]" if place.availability.ok else "[red]not available[/]"
    uses = ", ".join(f"{name} {number}" for name, number in place.availability.versions.items())
    return place.runtime, place.provider, state, uses


def _explain(place: Place) -> None:
    from edgecnn.cli._show import requirements_table

    found = place.availability
    say(f"\n{place.runtime} on {place.provider}: {found.reason or 'available.'}")
    if found.requirements:
        requirements_table(found.requirements, stderr=False)
    if found.remedy:
        say(found.remedy)
