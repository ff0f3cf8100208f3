"""The deployment of a bundle: how it is run where nobody says how.

`edgecnn tune` finds it and writes it into the manifest. It is one thing: whoever says anything of
how to run (variant, runtime, provider, threads, options, another batch size) gets what was said
and the ordinary defaults for the rest, and nothing of the deployment.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecnn.bundle import Bundle, change_manifest
from edgecnn.errors import BundleError
from edgecnn.machine import allowed_cores, this_machine
from edgecnn.manifest import Deployment, Manifest
from edgecnn.options import PRECISION, Options, computing

USUAL_RUNTIME = "ort"


@dataclass(frozen=True)
class HowToRun:
    """How a bundle is run: what was said, or its deployment, or the defaults.

    Attributes:
        variant: Name of the variant; None where none was said and nothing is deployed.
        runtime: Name or path of the runtime.
        provider: None for the runtime's first.
        threads: None for the cores that this process may use.
        options: The runtime's own options; None for none.
        batch_size: None for what the caller chooses.
        deployed: This is the bundle's deployment.
        note: What should be known of the deployment, as a sentence; empty where there is none.
        doubt: The note tells of something that is not as it should be.
    """

    variant: str | None
    runtime: str
    provider: str | None = None
    threads: int | None = None
    options: Options | None = None
    batch_size: int | None = None
    deployed: bool = False
    note: str = ""
    doubt: bool = False


def how_to_run(
    bundle: Bundle,
    *,
    variant: str | Sequence[str] | None = None,
    runtime: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    options: Options | None = None,
    batch_size: int | None = None,
) -> HowToRun:
    """Decide how a bundle is run; each argument is what somebody said, None where nobody did.

    Of several variants none is the variant.
    """
    said = how_without_bundle(
        variant=variant,
        runtime=runtime,
        provider=provider,
        threads=threads,
        options=options,
        batch_size=batch_size,
    )
    found = bundle.manifest.deployment
    if found is None:
        return said
    given = {
        "--variant": variant or None,
        "--runtime": runtime,
        "--provider": provider,
        "--threads": threads,
        "--option or --precision": options,
        "--batch-size": None if batch_size == found.batch_size else batch_size,
    }
    named = [flag for flag, value in given.items() if value is not None]
    if named:
        were = "was" if len(named) == 1 else "were"
        first = f"{', '.join(named[:-1])} and " if named[1:] else ""
        text = f"Not as tuned ({in_words(found)}), as {first}{named[-1]} {were} given."
        return replace(said, note=text)
    if not is_current(bundle, found):
        text = (
            f"The deployment of {bundle.folder} is stale: '{found.variant}' changed after it was "
            f"tuned. Tune again with `edgecnn tune {bundle.folder}`."
        )
        return replace(said, note=text, doubt=True)
    return _deployed(found)


def how_without_bundle(
    *, variant: str | Sequence[str] | None = None, runtime: str | None = None, **said: Any
) -> HowToRun:
    """Give what was said, and the defaults for the rest."""
    one = variant if isinstance(variant, str) else None
    return HowToRun(one, runtime or USUAL_RUNTIME, **said)


def how_or_warn(bundle: Bundle, **said: Any) -> HowToRun:
    """Decide as `how_to_run` does, and warn where the deployment is not as it should be."""
    how = how_to_run(bundle, **said)
    if how.doubt:
        warnings.warn(how.note, stacklevel=3)
    return how


def _deployed(found: Deployment) -> HowToRun:
    here = this_machine().cpu
    text = f"Using {in_words(found)}, as tuned on {found.tuned[:10]}"
    cores, elsewhere = allowed_cores(), found.cpu != here
    if elsewhere:
        text += f" on another machine ({found.cpu}, while this is {here})"
    if found.threads > cores:
        text += f", where there were more cores than the {cores} that may be used here"
    return HowToRun(
        found.variant,
        found.runtime,
        found.provider,
        found.threads,
        dict(found.options) or None,
        found.batch_size,
        deployed=True,
        note=f"{text}.",
        doubt=elsewhere or found.threads > cores,
    )


def in_words(found: Deployment) -> str:
    """Say what a deployment is.

    >>> from edgecnn.manifest import Deployment
    >>> rest = ("fp32", 1, "CPU", "2026-11-28", {}, "x.json", "", {})
    >>> in_words(Deployment("int8", "openvino", "cpu", 1, {"cpu_pinning": "on"}, *rest))
    'int8 on openvino, 1 thread, cpu_pinning=on'
    """
    place = (found.variant, found.runtime, found.provider, found.threads)
    return place_in_words(*place, found.precision, found.options)


def place_in_words(
    variant: str, runtime: str, provider: str, threads: int, precision: str, options: Options
) -> str:
    """Say what runs, on what, and how; the CPU is not named, nor what a runtime does by itself."""
    name = Path(runtime).stem if "/" in runtime else runtime
    where = name if provider == "cpu" else f"{name}/{provider}"
    count = "1 thread" if threads == 1 else f"{threads} threads"
    own = {key: value for key, value in options.items() if key != PRECISION}
    return ", ".join(filter(None, (f"{variant} on {where}", count, computing(precision, own))))


def is_current(bundle: Bundle, found: Deployment) -> bool:
    """Say whether a deployment's variant is still the one that was tuned."""
    own = [each for each in bundle.manifest.variants if each.name == found.variant]
    now = {file: bundle.files[file].sha256 for variant in own for file in variant.files}
    return bool(own) and now == dict(found.measured)


def digests(bundle: Bundle, variant: str) -> Mapping[str, str]:
    """Give the SHA-256 of each file of a variant, by name."""
    return {file: bundle.files[file].sha256 for file in bundle.variant(variant).files}


def deploy(bundle: Bundle, found: Deployment | None) -> Bundle:
    """Write down how a bundle is run where nobody says how; None takes that back.

    Raises:
        BundleError: Another process writes to the bundle, or changed the variant meanwhile.
        InputError: The disk is full or not writable.
    """

    def change(current: Bundle) -> Manifest:
        if found is not None and not is_current(current, found):
            raise BundleError(
                f"'{found.variant}' of {bundle.folder} was changed by another process while it "
                "was tuned; nothing was written.",
                "Run the command again.",
            )
        return replace(current.manifest, deployment=found)

    return change_manifest(bundle, change)
