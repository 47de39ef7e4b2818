"""Errors, events, files, hashes, options: what every other room stands on."""
