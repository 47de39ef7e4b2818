"""The engines that run a network: torch (reference), onnxruntime, openvino. The only place that exports one."""
