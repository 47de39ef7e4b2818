"""From a source of images to an image table, and from an image to the pixels a network takes."""
