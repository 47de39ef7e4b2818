"""Local pages for one person on this machine: served on loopback, guarded by a token, loading nothing from elsewhere."""
