"""What stands for flags that were left out: the bundle's deployment, which is said on stderr."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecnn.cli._options import note

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from edgecnn.deployment import HowToRun

_FILLED = ("runtime", "provider", "threads", "options", "batch_size")


def fill_in(
    bundle: Bundle | None,
    options: dict[str, Any],
    variant: str | None,
    *,
    fit: Callable[[HowToRun], HowToRun] | None = None,
) -> str | None:
    """Fill in what was left out of a command's options, and say so if it is the deployment.

    Args:
        bundle: What is run; None for ONNX files.
        options: The command's keywords `runtime`, `provider`, `threads`, `options` and
            `batch_size`, each None where nothing was said.
        variant: What was said of variants.
        fit: Changes what is found to what the command can do.

    Returns:
        The variant that was said or is deployed; None for the command's own choice.
    """
    from edgecnn.deployment import how_to_run, how_without_bundle

    said = {name: options[name] for name in _FILLED}
    if bundle is None:
        how = how_without_bundle(variant=variant, **said)
    else:
        how = how_to_run(bundle, variant=variant, **said)
    how = fit(how) if fit else how
    if how.note:
        note(how.note)
    options |= {name: getattr(how, name) for name in _FILLED}
    return how.variant
