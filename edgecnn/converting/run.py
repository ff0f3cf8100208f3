"""`edgecnn export --format NAME`, step by step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgecnn.agreement import Golden, golden, make_expected
from edgecnn.bundle import MANIFEST, Bundle, extend, open_bundle
from edgecnn.converting.child import CONVERT_SECONDS, Made, Request, convert_apart, memory_for
from edgecnn.converting.finding import ONNX, find_converter
from edgecnn.converting.proof import answers, judge_outputs
from edgecnn.converting.report import ConvertReport
from edgecnn.disk import temporary_folder
from edgecnn.errors import InputError, ModelError
from edgecnn.exporting.run import stale_variants
from edgecnn.progress import Progress, tell_nobody
from edgecnn.runtime import load_runtime
from edgecnn.spec import Converted, Variant

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class _Job:
    """What was converted, before it is proved.

    Attributes:
        bundle: The bundle.
        request: What was asked of the converter.
        draft: How the manifest will describe it.
        vectors: What it is held against.
        folder: Where its files are.
        made: What came of it.
    """

    bundle: Bundle
    request: Request
    draft: Variant
    vectors: Golden
    folder: Path
    made: Made


def convert(
    bundle: Bundle | Path | str,
    format: str,
    *,
    source: str = "fp32",
    name: str | None = None,
    runtime: str | None = None,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Make a variant of a bundle in the format of another engine, proved before it is named.

    The runtime that writes the format does it, in a process of its own. The result is opened on
    that runtime and held to the golden vectors: as near as its source must be, where precision
    stays. Nothing is written if it is refused.

    Args:
        bundle: A bundle or its folder.
        format: The format, such as `ncnn`.
        source: The variant to convert, an ONNX one.
        name: Name of the new variant; `FORMAT-PRECISION` by default, such as `ncnn-fp32`.
        runtime: Name or path of the runtime that writes it; by default the one on the shelf.
        options: The converter's own options.
        threads: Threads of the session that proves it; by default the cores allowed.
        time_limit: Seconds after which a conversion counts as a hang; 600 by default.
        memory_limit: Bytes that each process of a conversion may take, on Linux; by default 6 GiB
            and 16 times the source.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: No runtime writes this format, or the name or an option cannot be.
        ModelError: The net cannot be converted, or the result answers something else.
        BundleError: The source is missing, stale or damaged, or the bundle changed meanwhile.
        UnavailableError: The engine or its converter is not installed.
        RuntimeCrashed: The converter or the engine crashed or hung.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    tell, given = progress or tell_nobody, dict(options or {})
    converter = find_converter(format, runtime)
    located, vectors = _source(opened, source), golden(opened)
    named = name or _default_name(format, located, given)
    _refuse_name(opened, named, format)
    request = Request(
        converter,
        located,
        named,
        given,
        opened.folder,
        CONVERT_SECONDS if time_limit is None else time_limit,
        memory_for(located) if memory_limit is None else memory_limit,
    )
    made_by = _command(format, located, named, runtime, given)
    with temporary_folder() as folder:
        tell(f"Converting {source} to {format}", 0.0)
        made = convert_apart(request, folder)
        draft = _draft(opened, request, format, made.converted, made_by)
        _refuse_foreign_files(opened, draft)
        tell(f"Running {named} on {converter}", 0.6)
        job = _Job(opened, request, draft, vectors, folder, made)
        return _prove_and_write(job, threads)


def _prove_and_write(job: _Job, threads: int | None) -> ConvertReport:
    draft, contract = job.draft, job.bundle.manifest.contract
    located = replace(draft, files=tuple(str(job.folder / file) for file in draft.files))
    outputs, provider = answers(located, job.request.runtime, contract, job.vectors, threads)
    found = judge_outputs(located, job.request.source, contract, job.vectors, outputs)
    contents = {file: (job.folder / file).read_bytes() for file in draft.files}
    name = load_runtime(job.request.runtime).NAME
    expected = make_expected(outputs, runtime=name, provider=provider)
    tolerances = {output: each.tolerance for output, each in found.items()}
    after = extend(
        job.bundle,
        {**contents, str(draft.golden): expected},
        replace(draft, tolerances=tolerances),
    )
    return ConvertReport(
        bundle=str(job.bundle.folder),
        variant=draft.name,
        format=draft.format,
        source=job.request.source.name,
        precision=draft.precision,
        batch=draft.batch,
        preprocessing=draft.preprocessing,
        files={file: len(content) for file, content in contents.items()},
        runtime=name,
        provider=provider,
        versions=job.made.versions,
        options=dict(job.request.options),
        settings=draft.settings,
        convert_seconds=job.made.seconds,
        time_limit_seconds=job.request.seconds,
        memory_limit_bytes=job.request.memory,
        images=len(job.vectors.images),
        stand_in=job.vectors.stand_in,
        outputs=found,
        stale=stale_variants(after),
    )


def _source(bundle: Bundle, name: str) -> Variant:
    located = bundle.locate(name)
    if located.format != ONNX:
        raise ModelError(
            f"'{name}' is of the format '{located.format}', and conversions begin with ONNX.",
            "Name an ONNX variant with --from, such as fp32.",
        )
    return located


def _default_name(wanted: str, source: Variant, options: Mapping[str, str]) -> str:
    """Give `ncnn-fp32`: after the source, in the precision that is asked for."""
    precision = options.get("precision", source.precision)
    return f"{wanted}-{source.name.replace(source.precision, precision)}"


def _refuse_name(bundle: Bundle, name: str, wanted: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"A variant cannot be called '{name}'.",
            "Use letters, digits, dots, hyphens and underscores; 63 at most.",
        )
    for variant in bundle.manifest.variants:
        if variant.name == name and variant.format != wanted:
            raise InputError(
                f"{bundle.folder} has a variant '{name}' already, of the format "
                f"'{variant.format}'.",
                "Give another --name.",
            )


def _refuse_foreign_files(bundle: Bundle, draft: Variant) -> None:
    before = [variant for variant in bundle.manifest.variants if variant.name == draft.name]
    own = {file for variant in before for file in (*variant.files, variant.golden)}
    for file in (*draft.files, str(draft.golden)):
        if file == MANIFEST or (file in bundle.files and file not in own):
            raise InputError(
                f"'{draft.name}' would overwrite {bundle.folder / file}, which is not its own.",
                "Give another --name.",
            )


def _draft(
    bundle: Bundle, request: Request, wanted: str, converted: Converted, made_by: str
) -> Variant:
    source = bundle.variant(request.source.name)
    kept = {key: text for key, text in source.settings.items() if key == "golden"}
    return Variant(
        name=request.name,
        precision=converted.precision or source.precision,
        format=wanted,
        files=converted.files,
        preprocessing=converted.preprocessing,
        batch=converted.batch,
        parent=bundle.parent(source.files[0]),
        made_by=made_by,
        golden=f"{request.name}.golden.npz",
        settings=dict(request.options) | converted.settings | kept,
    )


def _command(
    wanted: str, source: Variant, name: str, runtime: str | None, options: Mapping[str, str]
) -> str:
    """Give the command that makes the variant anew, without what is so by default."""
    words = ["edgecnn", "export", "--format", wanted]
    words += [] if source.name == "fp32" else ["--from", source.name]
    for key, value in options.items():
        words += ["--option", f"{key}={value}"]
    words += [] if name == _default_name(wanted, source, options) else ["--name", name]
    words += [] if runtime is None else ["--runtime", runtime]
    return shlex.join(words)
