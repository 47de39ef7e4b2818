"""Tuning by machine; the only home of optuna."""
