"""Every command and snippet of the pages on augmentation and on generators, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from headstart.images.augment import OPERATORS, PRESETS


def test_every_block_of_the_page_on_augmentation_runs(run_page, capsys):
    run_page("how-to-augment.md")
    said = capsys.readouterr().out
    assert all(name in said for name in OPERATORS)
    assert "operators cross between classes" in said
    for name in ("preview", "operators", "mine"):
        assert Image.open(f"{name}.png").width > 300
    assert Path("model").is_dir()


def test_the_page_names_every_preset():
    page = (Path(__file__).parents[2] / "docs" / "how-to-augment.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in PRESETS)


def test_every_block_of_the_page_on_generators_runs(run_page):
    run_page("how-to-generate-batches.md")


def test_the_pages_name_only_options_that_there_are(options_of):
    for page in ("how-to-augment.md", "how-to-generate-batches.md"):
        assert options_of(page) <= options_of("reference.md")
