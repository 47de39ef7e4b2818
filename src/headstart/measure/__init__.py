"""Metrics, intervals and tests: arrays in, values out; nothing here knows of images or files."""
