"""A session on the tiny net, as a task finds it in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.runtime import open_session
from edgecnn.spec import Variant
from edgecnn.worker import Prepared

if TYPE_CHECKING:
    from tests.conftest import TinyNet


@pytest.fixture(scope="session")
def prepared(tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    file: Path = tmp_path_factory.mktemp("prepared") / "tiny.onnx"
    file.write_bytes(tiny_net.onnx())
    variant = Variant("tiny", "fp32", "onnx", (str(file),))
    batches: list[dict[str, Any]] = [{"pixels": tiny_net.images[at : at + 1]} for at in range(3)]
    with open_session(variant, threads=1) as session:
        calls = cycle([session.prepare(batch) for batch in batches])
        yield Prepared(session, variant, batches, calls)
