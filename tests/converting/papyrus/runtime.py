"""A stranger's runtime with a format of its own: an ONNX file, and an index that names it.

The option `trouble` of its `convert` says what goes wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgecnn.errors import ModelError
from edgecnn.runtime import Availability, Converted, Options, TensorSpec, Variant

NAME = "papyrus"
FORMATS = frozenset({"papyrus"})
PROVIDERS = ("cpu",)


class PapyrusSession:
    provider = "cpu"

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.inputs = (TensorSpec("pixels", "uint8", ("N", 8, 8, 3)),)
        self.outputs = (TensorSpec("logits", "float32", ("N", 4)),)

    def run(self, inputs: Any) -> dict[str, Any]:
        return {"logits": self._engine.run(["logits"], dict(inputs))[0]}

    def prepare(self, inputs: Any) -> Any:
        return lambda: self.run(inputs)

    def close(self) -> None:
        del self._engine


def availability(provider: str) -> Availability:
    if os.environ.get("NO_PAPYRUS"):
        return Availability(False, "There is no papyrus.", "Install it with `pip install papyrus`.")
    return Availability(ok=True, versions={"papyrus": "1"})


def open_session(
    variant: Variant, *, provider: str, threads: int, options: Options
) -> PapyrusSession:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    index = json.loads(variant.path.read_text())
    try:
        file = variant.path.with_name(index["scroll"])
        engine = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"papyrus cannot read {variant.path}.", "Write it anew.") from error
    return PapyrusSession(engine)


def convert(source: Variant, folder: Path, *, name: str, options: Options) -> Converted:
    scroll, index = folder / f"{name}.scroll", folder / f"{name}.index"
    content = source.path.read_bytes()
    (folder / "scraps").write_text("not kept")
    print("talking, as converters do")
    trouble = options.get("trouble", "")
    if "note" in options:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(options["note"]).write_text(str(child.pid))
    if trouble == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if trouble == "hang":
        time.sleep(600)
    if trouble == "memory":
        bytearray(2 << 30)
    if trouble == "error":
        raise ValueError("the reed broke")
    if trouble == "wrong answers":
        content = content.replace(b"Relu", b"Tanh")
    if trouble == "unreadable":
        content = content[:100]
    if trouble != "missing":
        scroll.write_bytes(content)
    index.write_text(json.dumps({"scroll": scroll.name}))
    files: tuple[str, ...] = (index.name, scroll.name)
    if trouble == "foreign":
        (folder / "fp32.onnx").write_bytes(b"")
        files = (*files, "fp32.onnx")
    return Converted(files, settings={"reed": "fine"})
