"""Print where a file's operators are computed: FILE PROVIDER [LEAST SHARE]."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from edgecnn.placement import allow_fallback
from edgecnn.placing import prove_placement
from edgecnn.records import to_json
from edgecnn.runtime import plain_file
from edgecnn.worker import Opened


def main(path: str, provider: str, share: str = "") -> None:
    placement = prove_placement(
        plain_file(path),
        _ones,
        provider=provider,
        threads=1,
        options=allow_fallback(None) if share else None,
        min_coverage=float(share) if share else None,
    )
    sys.stdout.buffer.write(to_json(placement))


def _ones(opened: Opened) -> list[dict[str, Any]]:
    shapes = {spec.name: [1, *map(int, spec.shape[1:])] for spec in opened.inputs}
    return [{spec.name: np.ones(shapes[spec.name], spec.dtype) for spec in opened.inputs}]


if __name__ == "__main__":
    main(*sys.argv[1:])
