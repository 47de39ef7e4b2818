"""What a network sees: arrays and values; the drawing is the report's."""
