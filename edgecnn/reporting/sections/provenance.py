"""Where everything comes from: net, data, files and their digests, and every report."""

from __future__ import annotations

from edgecnn.bundle import Bundle
from edgecnn.reporting.contract import Section, Table
from edgecnn.reporting.material import Material
from edgecnn.reporting.words import size, when

ORDER = 90
TITLE = "Provenance"
COMMAND = "edgecnn train"

_DIGITS = 12


def build(material: Material) -> Section:
    """List what the bundle was made from and with, its files, and the reports on this page."""
    bundle = material.bundle
    return Section(
        {
            "origin": _origin(bundle),
            "files": _files(bundle),
            "reports": material.reports,
            "folder": bundle.folder,
        }
    )


def _origin(bundle: Bundle) -> Table:
    manifest, contract = bundle.manifest, bundle.manifest.contract
    model, data = manifest.model, manifest.data
    rows = [("made", f"{when(manifest.created)}, by edgecnn {manifest.edgecnn}")]
    rows.append(("net", model.source if model else "an ONNX file"))
    if model and model.arguments:
        rows.append(("arguments", ", ".join(f"{k}={v}" for k, v in model.arguments.items())))
    if data:
        images = f"{data.train_images:,} training and {data.test_images:,} test images"
        rows.append(("data", f"{data.name} from {data.source}: {images}"))
        rows.append(("training images", data.train_sha256))
        rows.append(("test images", data.test_sha256))
    rows.append(("resize rule", f"{contract.resize}, {contract.filter}"))
    rows.append(("scale", "1/255" if contract.scale == 1 / 255 else f"{contract.scale:g}"))
    rows.append(("mean", _channels(contract.mean)))
    rows.append(("std", _channels(contract.std)))
    rows += [(_words(name), value) for name, value in manifest.environment.items()]
    rows.append(("manifest", manifest.digest))
    return Table("The bundle", ("", ""), tuple(rows), left=2)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("sha256", "SHA-256")


def _channels(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _files(bundle: Bundle) -> Table:
    made = {file: variant for variant in bundle.manifest.variants for file in variant.files}
    rows = []
    for name, record in bundle.files.items():
        variant = made.get(name)
        parent = variant.parent.file if variant and variant.parent else ""
        maker = variant.made_by if variant else ""
        rows.append((name, maker, parent, record.sha256[:_DIGITS], size(record.size)))
    columns = ("file", "made by", "from", "SHA-256", "size")
    caption = f"Files; the first {_DIGITS} digits of their SHA-256 (manifest.json has all)"
    return Table(caption, columns, tuple(rows), left=4)
