"""Pretrained networks: one card for every set of weights, loading, and named layers."""
