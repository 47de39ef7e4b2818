"""What a backbone says of an image, at any layer: computed once, kept by content."""
