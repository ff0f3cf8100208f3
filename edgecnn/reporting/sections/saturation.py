"""What CPUs that are not at hand would answer: replayed in integers, and run under an emulator."""

from __future__ import annotations

from typing import Any

from edgecnn.emulation import EmulatedVariant, EmulationReport
from edgecnn.quantization.saturation import SaturationReport, statement
from edgecnn.reporting.contract import Finding, Section, Table
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._quantized import newest_quantization
from edgecnn.reporting.words import percent

ORDER = 48
TITLE = "On other CPUs"
COMMAND = "edgecnn parity --as-cpu haswell"


def build(material: Material) -> Section | None:
    """Show the newest audit, layer by layer, and the newest run on emulated CPUs."""
    quantized, emulated = newest_quantization(material), material.newest(EmulationReport)
    if quantized is None:
        return section(None, None, emulated)
    return section(quantized[0].saturation, quantized[1], emulated)


def section(
    audited: SaturationReport | None,
    kept: Kept[Any] | None,
    emulated: Kept[EmulationReport] | None,
) -> Section | None:
    """Give the section.

    Args:
        audited: What was replayed; None if nothing can saturate, or nothing was quantized.
        kept: The report that it stands in.
        emulated: What other CPUs answered; None if none was asked.
    """
    if audited is None and emulated is None:
        return None
    values = {
        "audited": audited,
        "statement": audited and statement(audited),
        "layers": layers_table(audited) if audited and audited.saturated else None,
        "kept": kept,
        "emulated": emulated,
        "variants": emulated and variants_table(emulated.body),
    }
    if emulated is None:
        return Section(values)
    finding = Finding("Same answers on other CPUs", emulated.body.verdict, emulated)
    return Section(values, (finding,))


def layers_table(found: SaturationReport) -> Table:
    """Give the layers in which a sum of two products saturates."""
    rows = tuple(
        (
            each.layer,
            f"{each.pairs:,}",
            f"{each.saturated:,}",
            percent(each.saturated / each.pairs, 3),
            f"{each.largest_pair_sum:,}",
            percent(each.changed_outputs / each.outputs, 2),
        )
        for each in found.layers
        if each.saturated
    )
    columns = ("layer", "pairs", "saturated", "share", "largest |sum|", "outputs changed")
    others = len(found.layers) - len(rows)
    return Table(
        f"Layers that saturate; {others} other{'' if others == 1 else 's'} never did", columns, rows
    )


def variants_table(found: EmulationReport) -> Table:
    """Give each variant on each CPU that was emulated."""
    columns = ("variant", "CPU", "bits as here", "as when made", "other labels", "max abs", "found")
    rows = tuple(_row(each, found.images) for each in found.variants)
    return Table(f"{found.images} {found.inputs} under qemu", columns, rows, left=2)


def _row(each: EmulatedVariant, images: int) -> tuple[str, ...]:
    who = (each.variant, f"{each.cpu} ({each.model})")
    if each.outcome in ("crashed", "refused"):
        return (*who, "", "", "", "", each.outcome)
    made = "" if each.equal_expected is None else f"{each.equal_expected} of {images}"
    labels = "" if each.other_labels is None else f"{each.other_labels:,}"
    error = f"{each.largest_error:.2g}"
    return (*who, f"{each.equal_here} of {images}", made, labels, error, each.outcome)
