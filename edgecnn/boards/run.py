"""`edgecnn bench --board`, step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.agreement.gates import Limits, judge_all, own_limits
from edgecnn.agreement.judgement import judge_pair
from edgecnn.agreement.pairs import Pair
from edgecnn.agreement.sides import Side
from edgecnn.boards.building import FLAGS, build
from edgecnn.boards.cores import Board, find_boards
from edgecnn.boards.emulating import BoardSession, Count
from edgecnn.boards.report import BoardReport, BoardRow, judge
from edgecnn.boards.tools import Tools, find_tools
from edgecnn.bundle import GOLDEN, Bundle, open_bundle
from edgecnn.errors import EdgeCNNError, InputError, RuntimeCrashed
from edgecnn.golden import Golden, expected, golden
from edgecnn.graph.summary import summarise
from edgecnn.predictor import Predictor
from edgecnn.progress import Progress, tell_nobody
from edgecnn.session import CheckedSession
from edgecnn.spec import Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Outputs = dict[str, NDArray[Any]]

# Of one image: a core without an FPU takes a billion instructions for a small float net.
LIMIT_SECONDS = 600.0
# Instructions differ little from image to image, and every answer is held to the same bits.
_IMAGES = 4
_FORMAT = "c"


def bench_boards(
    bundle: Bundle | Path | str,
    boards: Sequence[str],
    variants: Sequence[str] | None = None,
    *,
    limit_seconds: float = LIMIT_SECONDS,
    progress: Progress | None = None,
) -> BoardReport:
    """Run C variants of a bundle on emulated boards, and find out what they need there.

    Each is compiled for each core, linked with a program that reads an image, calls the net and
    writes its answer, and run by qemu on golden images. Answers are held against what the variant
    itself answered when it was made: bit for bit where its source is promised to be equal on every
    CPU, else within twice its tolerance.

    Args:
        bundle: A bundle or its folder.
        boards: Names of boards, such as `cortex-m4`; `all` for every one.
        variants: Variants to run; all C variants by default.
        limit_seconds: Longest wait for the answer to one image.
        progress: Called with what is run and the share (0 to 1) that is behind.

    Raises:
        InputError: No board is called so, or a variant is no C.
        UnavailableError: The compiler or the emulator is missing.
        BundleError: The bundle, a variant or its golden vectors are missing or damaged.
    """
    wanted, tools = find_boards(boards), find_tools()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    chosen, vectors, tell = _chosen(opened, variants), golden(opened), progress or tell_nobody
    trials = [_Trial.of(opened, variant, vectors) for variant in chosen]
    pairs, rows = list(product(trials, wanted)), list[BoardRow]()
    for done, (trial, board) in enumerate(pairs):
        tell(f"Running {trial.variant.name} on {board.name}", done / len(pairs))
        rows.append(trial.run(board, tools, limit_seconds))
    return BoardReport(
        bundle=str(opened.folder),
        inputs=vectors.what,
        images=len(trials[0].images),
        rows=tuple(rows),
        versions=tools.versions,
        measured=_measured(opened, trials),
        verdict=judge(tuple(rows)),
    )


def _chosen(bundle: Bundle, names: Sequence[str] | None) -> list[Variant]:
    if names:
        chosen = [bundle.variant(name) for name in names]
        for variant in chosen:
            if variant.format != _FORMAT:
                raise InputError(
                    f"'{variant.name}' is {variant.format}; boards run plain C.",
                    f"Make a C variant with `edgecnn export {bundle.folder} --format c --from "
                    f"{variant.name}`.",
                )
        return chosen
    chosen = [each for each in bundle.manifest.variants if each.format == _FORMAT]
    if not chosen:
        raise InputError(
            f"{bundle.folder} has no C variant.",
            f"Make one with `edgecnn export {bundle.folder} --format c`.",
        )
    return chosen


def _measured(bundle: Bundle, trials: Sequence[_Trial]) -> dict[str, str]:
    measured = {GOLDEN: bundle.files[GOLDEN].sha256}
    for trial in trials:
        measured |= trial.measured
    return measured


@dataclass(frozen=True, eq=False)
class _Trial:
    """A variant, and what it must answer."""

    bundle: Bundle
    variant: Variant
    located: Variant
    images: NDArray[np.uint8]
    own: Outputs
    macs: int | None
    promised: bool

    @classmethod
    def of(cls, bundle: Bundle, variant: Variant, vectors: Golden) -> _Trial:
        count = len(vectors.images)
        chosen = np.linspace(0, count - 1, min(_IMAGES, count)).round().astype(np.intp)
        outputs = expected(bundle, variant).outputs
        return cls(
            bundle,
            variant,
            bundle.locate(variant.name),
            vectors.images[chosen],
            {name: output[chosen] for name, output in outputs.items()},
            _macs(bundle, variant),
            _promised(bundle, variant),
        )

    @property
    def measured(self) -> dict[str, str]:
        return {file: self.bundle.files[file].sha256 for file in self.variant.files}

    def run(self, board: Board, tools: Tools, seconds: float) -> BoardRow:
        row = BoardRow(
            board=board.name,
            machine=board.machine,
            flags=(*board.flags, *FLAGS),
            variant=self.variant.name,
            outcome="pass",
            promised=self.promised,
            macs=self.macs,
        )
        with tempfile.TemporaryDirectory(prefix="edgecnn-board-") as folder:
            try:
                image = build(self.located, board, tools, Path(folder))
                row = replace(row, sizes=image.sizes)
                session = BoardSession(image, board, tools, seconds)
                outputs = self._answers(session)
            except EdgeCNNError as error:
                return _failed(row, error)
        return self._judged(_counted(row, session.counts), outputs)

    def _answers(self, session: BoardSession) -> Outputs:
        checked = CheckedSession(session, _FORMAT, 1)
        with Predictor(self.bundle.manifest.contract, self.located, checked, 1) as predictor:
            return predictor.run_all(self.images)

    def _judged(self, row: BoardRow, outputs: Outputs) -> BoardRow:
        name = f"{row.variant} on {row.board}"
        side = Side(name, _FORMAT, row.board, outputs, self.variant, self.measured)
        comparisons = tuple(
            judge_pair(
                Pair(side, "own golden", output, wanted, self._limits(side, output)),
                None,
                self.bundle.manifest.contract,
                worst=1,
            )
            for output, wanted in self.own.items()
        )
        verdict = judge_all([each.verdict for each in comparisons])
        return replace(
            row,
            outcome=verdict.outcome,
            equal=_equal(outputs, self.own),
            largest_error=max(each.agreement.max_abs for each in comparisons),
            comparisons=comparisons,
            problem="\n".join(verdict.reasons),
            remedy="" if verdict.outcome == "pass" else "Do not rely on it on such a core.",
        )

    def _limits(self, side: Side, output: str) -> Limits:
        if self.promised:
            return Limits(bits=True)
        return own_limits(side.tolerance(output), same_engine=False)


def _macs(bundle: Bundle, variant: Variant) -> int | None:
    if variant.parent is None:
        return None
    file = variant.parent.file
    return summarise(bundle.read(file), where=file).macs


def _promised(bundle: Bundle, variant: Variant) -> bool:
    """Say whether what the variant was made from is promised to be equal on every CPU."""
    for source in bundle.manifest.variants:
        if variant.parent is not None and variant.parent.file in source.files:
            limits = source.tolerances.values()
            return bool(limits) and all(each.bit_exact for each in limits)
    return False


def _counted(row: BoardRow, counts: Sequence[Count]) -> BoardRow:
    return replace(
        row,
        stack=max(each.stack for each in counts),
        instructions=round(median(each.instructions for each in counts)),
    )


def _failed(row: BoardRow, error: EdgeCNNError) -> BoardRow:
    crashed = isinstance(error, RuntimeCrashed)
    return replace(
        row,
        outcome="crashed" if crashed else "refused",
        problem=error.problem,
        remedy=error.remedy,
    )


def _equal(found: Outputs, wanted: Outputs) -> int:
    """Count the images with every output equal bit for bit."""
    rows = [
        [a.tobytes() == b.tobytes() for a, b in zip(found[name], wanted[name], strict=True)]
        for name in wanted
    ]
    return sum(map(all, zip(*rows, strict=True)))
