"""Does calibration need more memory for more images?

A bundle's float core is observed on 64 and on 4,096 training images, each in a fresh process. What
is recorded is the peak of the whole process (ru_maxrss), which holds the data set as well, and what
calibrating added: the peak of its memory from then on, less what it had before.

    python benchmarks/calibration_memory.py runs/resnet8 --images 64 --images 4096
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from edgecnn.bundle import open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.graph.clean import from_bytes
from edgecnn.graph.prefix import float_core
from edgecnn.machine import this_machine
from edgecnn.quantization.calibration.draws import draw
from edgecnn.quantization.making import observe_subject
from edgecnn.quantization.plan import Plan

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """What one process needed.

    Attributes:
        images: Images that it calibrated on.
        whole_bytes: Peak of the process, data set and libraries included.
        before_bytes: What it held before calibrating.
        added_bytes: Its peak while calibrating, less that.
    """

    images: int
    whole_bytes: int
    before_bytes: int
    added_bytes: int


def main() -> None:
    """Start a process for each number of images, several times, and write what they needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="calibrate in this process")
    given = parser.parse_args()
    counts = given.images or [64, 4096]
    if given.alone:
        print(json.dumps(asdict(calibrate(given.bundle, counts[0]))))
        return
    peaks = [in_a_fresh_process(given.bundle, n) for _ in range(given.repeat) for n in counts]
    for count in counts:
        own = [peak for peak in peaks if peak.images == count]
        whole, added = (
            max(getattr(peak, name) for peak in own) / 1e6
            for name in ("whole_bytes", "added_bytes")
        )
        print(f"{count:>6,} images: {whole:.0f} MB in all, of which calibration added {added:.0f}")
    path = Path(__file__).parent / "results" / f"calibration-memory-{date.today()}.json"
    facts = {"machine": asdict(this_machine()), "bundle": given.bundle.name}
    path.write_text(json.dumps(facts | {"peaks": [asdict(peak) for peak in peaks]}, indent=1))


def in_a_fresh_process(bundle: Path, images: int) -> Peak:
    """Calibrate in a process of its own."""
    command = [sys.executable, __file__, str(bundle), "--images", str(images), "--alone"]
    return Peak(**json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def calibrate(folder: Path, images: int) -> Peak:
    """Calibrate in this process, and say what it needed; for Linux."""
    bundle = open_bundle(folder)
    data = bundle_data(bundle)
    drawn = draw(data, images, 0)
    core = float_core(from_bytes(bundle.locate("fp32").path.read_bytes(), where=str(folder)))
    CLEAR.write_text("5")  # the peak is counted from here
    before = status("VmRSS")
    pictures = data.train.take(drawn.calibration).images
    observe_subject(core, bundle.manifest.contract, pictures, Plan())
    whole = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Peak(images, whole, before, status("VmHWM") - before)


def status(field: str) -> int:
    """Read a field of the process's status, in bytes."""
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
