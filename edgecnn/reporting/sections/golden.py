"""Golden images whose outputs differ most from what is expected."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from edgecnn.agreement import Comparison, ParityReport
from edgecnn.agreement.judgement import WorstImage
from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import BundleError
from edgecnn.golden import Golden, golden
from edgecnn.images import thumbnail
from edgecnn.reporting.contract import Section
from edgecnn.reporting.material import Kept, Material
from edgecnn.reporting.sections._shots import Gallery, Shot

ORDER = 62
TITLE = "Golden images that differ most"
COMMAND = "edgecnn parity"

_SIDE = 64
_OPEN = 4
_SEEN = 60  # dB: above it, an error does not show in the first three digits


def build(material: Material) -> Section | None:
    """Show the images with the largest errors of each comparison that found one."""
    kept = material.newest(ParityReport)
    if kept is None or not kept.body.inputs.startswith("golden"):
        return None
    galleries = list(_galleries(kept, material.bundle))
    return Section({"kept": kept, "galleries": galleries}) if galleries else None


def _galleries(kept: Kept[ParityReport], bundle: Bundle) -> Iterator[Gallery]:
    vectors = None if GOLDEN in kept.outdated else _vectors(bundle)
    for one in kept.body.comparisons:
        worst = [image for image in one.worst if image.error]
        if worst:
            yield Gallery(
                f"{one.name} on {one.engine}, {one.output} against {one.against}",
                f"The largest errors on {kept.body.images} {kept.body.inputs}:",
                tuple(_shot(image, one, bundle, vectors) for image in worst),
                open=_OPEN if one.agreement.sqnr_db < _SEEN else 0,
            )


def _vectors(bundle: Bundle) -> Golden | None:
    try:
        return golden(bundle)
    except BundleError:  # the page says of each picture that it is not kept
        return None


def _shot(image: WorstImage, one: Comparison, bundle: Bundle, vectors: Golden | None) -> Shot:
    lines = [
        f"error {image.error:.2g}",
        f"{image.output:.4g}, expected {image.expected_output:.4g}",
    ]
    if image.answer == image.expected_answer != "":
        lines.append(f"says {image.answer}, as the reference does")
    elif image.answer:
        lines.append(f"says {image.answer}, the reference {image.expected_answer}")
    if vectors is None or image.index >= len(vectors.images):
        return Shot(image.index, "", "", tuple(lines), "")
    pixels: Any = vectors.images[image.index]
    png = base64.b64encode(thumbnail(pixels, bundle.manifest.contract.color, _SIDE)).decode()
    truth = _truth(bundle, int(vectors.labels[image.index]))
    return Shot(image.index, png, truth, tuple(lines), hashlib.sha256(pixels.tobytes()).hexdigest())


def _truth(bundle: Bundle, label: int) -> str:
    labels = bundle.manifest.contract.labels
    return labels[label] if 0 <= label < len(labels) else ""
