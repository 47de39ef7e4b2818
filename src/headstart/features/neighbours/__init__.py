"""Nearest neighbours: exact ones by blocked matrix products, and approximate ones by faiss for large sets."""
