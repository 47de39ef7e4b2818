"""Looking for what is wrong with a dataset, and what would go wrong with it."""
