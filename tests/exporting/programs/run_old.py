"""Run an ONNX file without edgecnn: FILE IMAGES.npy OUTPUTS.npy."""

import sys

import numpy as np


def main(model: str, images: str, outputs: str) -> None:
    import onnxruntime as ort

    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: np.load(images)})
    np.save(outputs, values[0])
    print(ort.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
