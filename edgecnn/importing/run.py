"""`edgecnn import`, step by step."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import bundle as bundles
from edgecnn import extras
from edgecnn.bundle import WEIGHTS
from edgecnn.data import Dataset
from edgecnn.errors import InputError
from edgecnn.importing.contract import GIVEN, Choice, merged
from edgecnn.importing.detective import detect, onnx_scorer
from edgecnn.importing.fields import read_contract
from edgecnn.importing.labelled import DataSource
from edgecnn.importing.onnx_file import import_onnx
from edgecnn.importing.report import ImportReport
from edgecnn.machine import this_machine
from edgecnn.progress import Progress, part_of, tell_nobody
from edgecnn.records import file_sha256

if TYPE_CHECKING:
    from edgecnn.importing.pytorch import Imported
    from edgecnn.importing.scorers import Score


def import_model(
    file: Path | str | None = None,
    *,
    model: str | None = None,
    model_arguments: Mapping[str, bool | int | float | str] | None = None,
    weights: Path | str | None = None,
    weights_key: str | None = None,
    choice: Choice | None = None,
    contract: Path | str | None = None,
    data: str | Path | None = None,
    data_dir: Path | None = None,
    test_fraction: float = 0.2,
    skip_broken: bool = False,
    output: Path | str | None = None,
    force: bool = False,
    detective: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a bundle of a net that is trained already: PyTorch weights, or an ONNX file.

    Args:
        file: An ONNX file; a PyTorch net is named with `model`.
        model: A name on the shelf, `FILE.py:factory`, `package.module:factory`,
            `torchvision:NAME` or `timm:NAME`.
        model_arguments: What the factory is called with.
        weights: The file of the net's weights: safetensors or what torch.save wrote; by default
            those on the shelf.
        weights_key: The entry of a checkpoint that holds the weights, where there are several.
        choice: Fields of the input contract that are given.
        contract: A TOML file with more of them.
        data: Labelled images that the bundle is calibrated and judged on.
        data_dir: Where downloaded data lies.
        test_fraction: Share of images that a single folder of classes gives to the test split.
        skip_broken: Leave broken images out instead of stopping.
        output: The bundle's folder; `runs/NAME` by default.
        force: Replace the bundle that is there.
        detective: With data, try other input contracts and say if one suits the net better.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: The model or its weights cannot be used.
        InputError: The contract cannot be settled.
        DataError: The data cannot be used, or is of other classes than the net.
        BundleError: The folder exists and `force` was not given.
        UnavailableError: A package is missing.
    """
    _refuse_unclear(file, model, weights, weights_key, model_arguments)
    if model is not None:
        extras.require("`edgecnn import --model`", "torch", "safetensors")
    given = merged(choice or Choice(), read_contract(Path(contract)) if contract else Choice())
    folder = Path(output) if output else Path("runs") / _name(file, model)
    _refuse_unwanted(folder, force=force)
    source = DataSource(str(data), data_dir, test_fraction, skip_broken) if data else None
    tell = progress or tell_nobody
    detect_in = source if detective else None
    if file is not None:
        reading = part_of(tell, 0.0, 0.6)
        report = import_onnx(
            Path(file), given, folder, source=source, force=force, progress=reading
        )
        return _investigate(report, lambda: onnx_scorer(Path(file)), detect_in, tell)
    from edgecnn.importing.pytorch import import_net, with_data
    from edgecnn.importing.scorers import torch_scorer

    tell("Reading the weights", 0.0)
    place = Path(weights) if weights else None
    imported = import_net(str(model), model_arguments or {}, place, given, weights_key=weights_key)
    imported, dataset = with_data(imported, given, source, part_of(tell, 0.2, 0.6))
    report = _write(imported, dataset, folder, force=force)
    return _investigate(report, lambda: torch_scorer(imported.net), detect_in, tell)


def _investigate(
    report: ImportReport,
    scorer: Callable[[], Score],
    source: DataSource | None,
    tell: Progress,
) -> ImportReport:
    """Let the detective look whether another contract would suit the net better."""
    if source is None or report.contract.output_kind == "other":
        return report
    detection = detect(
        scorer(),
        report.contract,
        source.source,
        other_sizes=report.model is not None and report.sources["input-size"] != GIVEN,
        data_dir=source.data_dir,
        test_fraction=source.test_fraction,
        skip_broken=source.skip_broken,
        progress=part_of(tell, 0.6, 1.0),
    )
    return replace(report, detection=detection)


def _write(
    imported: Imported, dataset: Dataset | None, folder: Path, *, force: bool
) -> ImportReport:
    from safetensors.torch import save

    from edgecnn.nets import parameter_count, plain_state

    contract = imported.decision.contract
    digest = file_sha256(imported.weights)
    data = dataset.reference() if dataset else None
    manifest = bundles.new_manifest(
        folder.resolve().name,
        contract,
        model=imported.model,
        data=data,
        environment=_environment(imported.weights, digest),
    )
    content = save(plain_state(imported.net))
    bundles.create(folder, manifest, {WEIGHTS: content}, force=force)
    return ImportReport(
        bundle=str(folder),
        source=imported.model.source,
        weights=str(imported.weights),
        sha256=digest,
        model=imported.model,
        parameters=parameter_count(imported.net),
        outputs=imported.outputs,
        contract=contract,
        sources=imported.decision.sources,
        contract_lines=imported.decision.lines,
        notes=(*imported.notes, *(dataset.notes if dataset else ())),
        data=data,
    )


def _environment(weights: Path, digest: str) -> dict[str, str]:
    import torch

    machine = this_machine()
    return {
        "python": machine.python,
        "torch": str(torch.__version__),
        "system": machine.system,
        "cpu": machine.cpu,
        "imported": weights.name,
        "imported_sha256": digest,
    }


def _name(file: Path | str | None, model: str | None) -> str:
    if file is not None:
        return Path(file).stem
    from edgecnn.nets.naming import short_name

    return short_name(str(model))


def _refuse_unwanted(folder: Path, *, force: bool) -> None:
    # At once, not after minutes of reading.
    if not force:
        bundles.refuse_existing(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        bundles.refuse_foreign(folder)


def _refuse_unclear(file: Path | str | None, model: str | None, *only_pytorch: object) -> None:
    if file is not None and Path(file).suffix.lower() != ".onnx":
        raise InputError(
            f"{file} is no ONNX file, and PyTorch weights alone are no net.",
            f"Name the net with --model MODEL --weights {shlex.quote(str(file))}.",
        )
    if (file is None) == (model is None):
        what = "Nothing is named to import." if model is None else "Two things are named to import."
        raise InputError(
            what,
            "Name an ONNX file, as in `edgecnn import net.onnx`, or a PyTorch net, as in "
            "`edgecnn import --model my_net.py:Net --weights net.pth`.",
        )
    if file is not None and any(only_pytorch):
        raise InputError(
            "--weights, --weights-key and --model-arg are about a PyTorch net.",
            "Leave them out: an ONNX file brings its weights.",
        )
