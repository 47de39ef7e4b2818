"""Ways of making a classifier from a backbone: heads on features, and what is fitted around them."""
