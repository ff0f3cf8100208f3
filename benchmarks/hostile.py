"""What the gate costs: hostile files it refuses, and torchvision's nets that must pass.

    python benchmarks/hostile.py [--torchvision] [--dynamo] [--only NAME ...]

Without flags, every hostile file of the tests is shown to the gate in a process of its own; the
seconds are the gate's, the memory is the whole process's, Python and onnx included. With
`--torchvision`, each of torchvision's classification nets (any weights) is
exported, passes the gate, and is loaded and run for the first time in the guarded process. Rows
are kept as they come, so a run can be interrupted and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def main() -> None:
    """Measure what was asked for, keep the rows, print a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torchvision", action="store_true")
    parser.add_argument("--dynamo", action="store_true", help="use torch's new exporter")
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    if chosen.torchvision:
        path = RESULTS / f"gate-torchvision{'-dynamo' if chosen.dynamo else ''}.json"
        rows = measure(path, chosen.only or names(), lambda name: net_row(name, chosen.dynamo))
    else:
        from tests.graph.hostile import every_hostile_file

        path = RESULTS / "gate-hostile.json"
        rows = measure(path, chosen.only or list(every_hostile_file()), hostile_row)
    summarise(rows)


def measure(path: Path, wanted: list[str], make: Callable[[str], Row]) -> dict[str, Row]:
    """Make the rows that are missing, each in a process of its own."""
    from edgecnn.machine import this_machine
    from edgecnn.records import to_builtins

    kept = json.loads(path.read_text()) if path.is_file() else {}
    rows: dict[str, Row] = kept.get("rows", {})
    for name in wanted:
        if name in rows and "error" not in rows[name]:
            continue
        rows[name] = in_a_child(make, name)
        print(name, rows[name], file=sys.stderr, flush=True)
        content = {"machine": to_builtins(this_machine()), "command": sys.argv, "rows": rows}
        path.write_text(json.dumps(content, indent=1) + "\n")
    return {name: rows[name] for name in wanted}


def in_a_child(make: Callable[[str], Row], name: str) -> Row:
    """Make a row in a process of its own, whose memory is then known."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=answer, args=(there, make, name))
    child.start()
    there.close()
    try:
        row: Row = here.recv()
    except EOFError:
        row = {"error": "the process ended"}
    child.join()
    return row


def answer(pipe: Any, make: Callable[[str], Row], name: str) -> None:
    """Make a row and send it, an error as well."""
    try:
        row = make(name)
    except Exception as error:
        row = {"error": f"{type(error).__name__}: {error}"}
    row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send(row)


def hostile_row(name: str) -> Row:
    """Show a hostile file to the gate."""
    import onnx

    from edgecnn.errors import ModelError
    from edgecnn.graph.gate import check_file
    from tests.graph.hostile import every_hostile_file

    assert onnx.defs.onnx_opset_version()
    with tempfile.TemporaryDirectory() as folder:
        path = every_hostile_file()[name][0](Path(folder))
        began, cpu = time.perf_counter(), time.process_time()
        said = "passed"
        try:
            check_file(path)
        except ModelError as error:
            said = error.problem.replace(folder, "")
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "said": said}


def names() -> list[str]:
    """List torchvision's classification nets."""
    from torchvision import models

    found: list[str] = models.list_models(module=models)
    return found


def net_row(name: str, dynamo: bool) -> Row:
    """Export a net, let it pass the gate, load it for the first time."""
    from edgecnn.graph.gate import check_file
    from edgecnn.guard import first_load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export(name, path, dynamo)
        began, cpu = time.perf_counter(), time.process_time()
        found = check_file(path)
        gate = {"gate_seconds": time.perf_counter() - began}
        gate["gate_cpu_seconds"] = time.process_time() - cpu
        began = time.perf_counter()
        first_load(path, found)
        gate["first_load_seconds"] = time.perf_counter() - began
        return gate | sizes(found, path)


def export(name: str, path: Path, dynamo: bool) -> None:
    """Write a net; its numbers do not matter."""
    import torch
    from torchvision import models

    # Drawing weights takes longer than all the rest; regnets read theirs while they are made.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        net = models.get_model(name, weights=None)
    net = net.to_empty(device="cpu").eval()
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 0.2)  # equal ones would be stored once
        else:
            tensor.data.zero_()  # indices into tables
    side = 299 if name == "inception_v3" else 518 if "518" in name else 224
    image = torch.zeros(1, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (image,), path, dynamo=dynamo, verbose=False)


def sizes(model: Any, path: Path) -> Row:
    """Count what the limits are about."""
    import onnx

    from edgecnn.graph import wire
    from edgecnn.graph.summary import summarise as describe

    content, count = path.read_bytes(), wire._Count()
    wire._walk(content, 0, len(content), onnx.ModelProto.DESCRIPTOR, count, 1)
    graph = describe(content, where=path.name)
    longest = max(len(name) for node in model.graph.node for name in (*node.input, *node.output))
    return {
        "nodes": len(model.graph.node),
        "fields": count.fields,
        "file_bytes": len(content),
        "live_mib": (graph.peak_memory_bytes or 0) / 2**20,
        "longest_name": longest,
    }


def summarise(rows: dict[str, Row]) -> None:
    """Print the largest of each figure, and every error."""
    columns = sorted({key for row in rows.values() for key, value in row.items() if value != 0})
    print(f"{len(rows)} rows")
    for column in columns:
        found = [(row[column], name) for name, row in rows.items() if column in row]
        if all(isinstance(value, (int, float)) for value, _ in found):
            print(f"largest {column}: {max(found)[0]:.4g} ({max(found)[1]})")
    for name, row in rows.items():
        if "error" in row or row.get("said") == "passed":
            print(f"{name}: {row.get('error', 'passed')}")


if __name__ == "__main__":
    main()
