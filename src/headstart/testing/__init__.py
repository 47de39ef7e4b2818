"""Contract suites and small stand-ins for images, backbones and records; imported by tests only."""
