"""Tools on ONNX graphs, on onnx_ir; none of them knows torch or a runtime.

`onnx_ir` belongs to the workshop, not to the device, so each function imports it where it is used.
"""
