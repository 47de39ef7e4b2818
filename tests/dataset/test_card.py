"""The data card: counts, sizes, steps, limits and what is to be filled in; hostile names are text."""

from __future__ import annotations

from dataclasses import replace

from headstart.base.findings import Finding
from headstart.dataset.build import Recipe, drafted, write_dataset
from headstart.dataset.edit import Edits
from headstart.images.scan import scan
from headstart.testing.images import split_folders


def card(table, out, recipe=None, more=()):
    recipe = recipe or Recipe()
    place, _ = write_dataset(drafted(table, recipe), out, recipe, more=more)
    return (place / "README.md").read_text(encoding="utf-8")


def test_it_says_origin_counts_sizes_steps_and_limits(tmp_path):
    table = scan(split_folders(tmp_path / "photos"))
    recipe = Recipe(edits=Edits(rename={"disc": "round"}, per_class=6))
    more = [Finding("cue", "the background gives the class away", "crop it")]
    said = card(replace(table, source="Drawn. Licence: CC0."), tmp_path / "out", recipe, more)
    assert "Source: Drawn. Licence: CC0." in said and "- Licence: **to fill in**" in said
    assert "| class | train | validation | test |" in said
    rows = [line for line in said.splitlines() if line.startswith("| round |")]
    assert len(rows) == 1 and sum(int(cell) for cell in rows[0].strip("|").split("|")[1:]) == 6
    assert "Width in pixels: 48 to 48, median 48; height: 40 to 40" in said
    assert "classes renamed or merged: 'disc' to 'round'" in said and "at most 6 images a class" in said
    assert "the background gives the class away. What to do: crop it." in said


def test_counts_of_the_card_are_those_of_the_set(tmp_path):
    said = card(scan(split_folders(tmp_path / "photos")), tmp_path / "out")
    for name in ("disc", "square", "stripes"):
        assert f"| {name} | 6 | 2 | 3 |" in said
    assert "| all 3 | 18 | 6 | 9 |" in said


def test_hostile_names_are_text(tmp_path):
    table = scan(split_folders(tmp_path / "photos"))
    names = {"disc": "<script>x</script>|[a](http://x)", "square": "a\n# b", "stripes": "![i](j)`*_"}
    hostile = replace(
        table, name="<b>`n`", labels={"label": tuple(names[label] for label in table.labels["label"])}
    )
    said = card(hostile, tmp_path / "out", Recipe(layout="parquet"))
    assert "<script>" not in said and "<b>" not in said and "\n# b" not in said
    assert r"\<script\>x\</script\>\|\[a\](http://x)" in said
    assert str(tmp_path) not in said


def test_images_without_labels_have_a_card_too(tmp_path):
    photos = split_folders(tmp_path / "photos") / "train" / "disc"
    assert "Nothing is labelled." in card(scan(photos), tmp_path / "out")
