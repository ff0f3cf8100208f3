"""Which ONNX files does each release of ONNX Runtime read?

Each release's own wheel is installed into a folder that is thrown away, with a NumPy that it takes,
and is given files of every IR version, and of every version of ONNX's operators. They hold what a
net with pixels in and int8 inside has: a release may load an opset before it can compute it, as
1.15 does with Reshape of opset 19, and 1.23 with QuantizeLinear of opset 23. The newest of each
that it loads and runs are the rows of `edgecnn/releases.py`.

    python benchmarks/ort_releases.py 1.16.3 1.20.1 1.32.0

Needs a package index, and a Python that the wheels are made for: 3.11 for 1.15 to 1.32. Prints a
table in Markdown; the figures go to results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
TRIED_IR, TRIED_OPSETS = range(6, 20), range(15, 36)
# Releases before 1.19 were built against NumPy 1.
NUMPY_1, NUMPY_2, LAST_WITH_NUMPY_1 = "numpy==1.26.4", "numpy==2.1.3", (1, 18)
NEEDED = ("coloredlogs", "humanfriendly", "flatbuffers", "packaging", "protobuf")

PROGRAM = """
import json, sys
import numpy as np
import onnxruntime as ort

ort.set_default_logger_severity(4)
read = []
for path in sys.argv[1:]:
    try:
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        session.run(None, {"x": np.zeros((1, 4, 4, 3), np.uint8)})
    except Exception:
        continue
    read.append(path)
print(json.dumps({"version": ort.__version__, "read": read}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    found = {version: probe(version) for version in options.versions}
    print("| ONNX Runtime | IR | opset |\n|---|---|---|")
    for version, (newest_ir, newest_opset) in found.items():
        print(f"| {version} | {newest_ir} | {newest_opset} |")
    now = datetime.now(timezone.utc)
    content = {
        "created": now.isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "tried": {"ir_version": [*TRIED_IR], "opset": [*TRIED_OPSETS]},
        "newest": {
            version: dict(zip(("ir_version", "opset"), pair, strict=True))
            for version, pair in found.items()
        },
    }
    path = options.results / f"ort-releases-{now:%Y-%m-%d}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")


def probe(version: str) -> tuple[int, int]:
    """Give the newest IR version and the newest opset that a release reads."""
    old = tuple(map(int, version.split(".")[:2])) <= LAST_WITH_NUMPY_1
    with tempfile.TemporaryDirectory() as scratch:
        wheel = Path(scratch) / "wheel"
        install(wheel, f"onnxruntime=={version}", NUMPY_1 if old else NUMPY_2, *NEEDED)
        formats = {number: save(scratch, number, 15) for number in TRIED_IR}
        operators = {number: save(scratch, 7, number) for number in TRIED_OPSETS}
        read = run(wheel, [*formats.values(), *operators.values()])
    return (
        max(number for number, path in formats.items() if str(path) in read),
        max(number for number, path in operators.items() if str(path) in read),
    )


def install(folder: Path, *requirements: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(folder)]
    subprocess.run([*command, *options, *requirements], check=True)


def save(scratch: str, ir_version: int, opset: int) -> Path:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "shape": np.array([1, 3, 4, 4]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "scale": np.array(0.1, np.float32),
        "zero": np.array(128, np.uint8),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["reshaped"]),
        helper.make_node("Cast", ["reshaped"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Pad", ["cast", "pads"], ["padded"]),
        helper.make_node("QuantizeLinear", ["padded", "scale", "zero"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "scale", "zero"], ["dequantized"]),
        helper.make_node("AveragePool", ["dequantized"], ["pooled"], kernel_shape=[2, 2]),
        helper.make_node("Relu", ["pooled"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4, 4, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 5, 5])
    held = [numpy_helper.from_array(each, name) for name, each in constants.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    path = Path(scratch) / f"ir{ir_version}-opset{opset}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def run(wheel: Path, files: list[Path]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, *map(str, files)],
        env={**os.environ, "PYTHONPATH": str(wheel), "ORT_DISABLE_TELEMETRY": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1])["read"])


if __name__ == "__main__":
    main()
