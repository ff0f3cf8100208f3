"""Whether a runtime can run here, and what it lacks if it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version

from edgecnn.errors import Requirement


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can run on a provider here.

    Attributes:
        ok: It can.
        reason: Why not, as one sentence; empty if it can.
        remedy: The command that helps; empty if it can.
        requirements: What is needed against what was found, for a table.
        versions: Versions of the packages that it uses.
    """

    ok: bool
    reason: str = ""
    remedy: str = ""
    requirements: tuple[Requirement, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


def package_availability(
    runtime: str,
    provider: str,
    providers: Sequence[str],
    packages: Mapping[str, str],
    install: str,
) -> Availability:
    """Say whether a runtime that needs nothing but Python packages can run; this imports them.

    Args:
        runtime: The runtime's name.
        provider: Where it is to compute.
        providers: Where it can.
        packages: What it imports, and the distribution that each comes from.
        install: What pip installs to bring them all, such as `edgecnn[tract]`.
    """
    for module, distribution in packages.items():
        try:
            import_module(module)
        except Exception:  # some raise an error of their own where a library of theirs is missing
            return Availability(
                ok=False,
                reason=f"The package {distribution} is not installed.",
                remedy=f"Install it with `pip install '{install}'`.",
            )
    versions = {name: version(name) for name in packages.values()}
    if provider not in providers:
        return Availability(
            ok=False,
            reason=f"The runtime '{runtime}' has no provider '{provider}'; it has "
            f"{', '.join(providers)}.",
            remedy=f"Use `--provider {providers[0]}`.",
            versions=versions,
        )
    return Availability(ok=True, versions=versions)
