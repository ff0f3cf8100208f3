"""Quantize a core with NNCF's defaults, for quantization.py; run by a Python that has nncf.

python with_nncf.py CORE.onnx IMAGES.npy INPUT_NAME INT8.onnx
"""

from __future__ import annotations

import sys

import nncf
import numpy as np
import onnx


def main(core: str, images: str, name: str, target: str) -> None:
    given = np.load(images)
    data = nncf.Dataset(given, lambda image: {name: image[None]})
    onnx.save(nncf.quantize(onnx.load(core), data, subset_size=len(given)), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
