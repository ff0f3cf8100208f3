"""ONNX Runtime's providers by their short names: what brings each, and how each is kept strict."""

from __future__ import annotations

from types import ModuleType

from edgecnn.runtime import normalise_provider

# The wheels on PyPI that hold a build of ONNX Runtime with a provider, as of November 2026, and
# where they run if that is not Linux; onnxruntime-qnn from 2 on is a plug-in without an engine.
WHEELS = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
    "migraphx": "onnxruntime-migraphx",
    "rocm": "onnxruntime-rocm",
    "webgpu": "onnxruntime-webgpu",
    "cann": "onnxruntime-cann",
    "directml": "onnxruntime-directml",
    "qnn": "onnxruntime-qnn<2",
    "coreml": "onnxruntime",
}
SYSTEMS = {
    "directml": ("win32", "Windows"),
    "qnn": ("win32", "Windows"),
    "coreml": ("darwin", "macOS"),
}
UNPUBLISHED = (
    "acl",
    "armnn",
    "dnnl",
    "js",
    "nnapi",
    "rknpu",
    "vitisai",
    "vsinpu",
    "webnn",
    "xnnpack",
)
OTHER_PROVIDERS = tuple(sorted({*WHEELS, *UNPUBLISHED} - {"cuda"}))


def providers(module: ModuleType) -> dict[str, str]:
    """Map the short names of the providers in the wheel to ONNX Runtime's own."""
    return {normalise_provider(name): name for name in module.get_available_providers()}


def provider_options(provider: str, chosen: dict[str, str], threads: int) -> dict[str, str]:
    """Give what ONNX Runtime must tell a provider, so that nothing is left to its own defaults.

    Sources: the pages of the CUDA and OpenVINO execution providers in ONNX Runtime's documentation.
    """
    if provider == "cuda":
        return {
            "use_tf32": str(int(chosen["precision"] == "tf32")),
            "enable_cuda_graph": str(int(chosen["cuda_graph"] == "on")),
            "cudnn_conv_algo_search": chosen["cudnn_conv_algo_search"].upper(),
        }
    if provider == "openvino":
        # A GPU or NPU is another device; without a precision it computes as the device likes.
        return {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)}
    return {}
