"""Models that leave the house: bundles, ONNX graphs, cards."""
