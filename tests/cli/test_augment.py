"""augment: previews as files, policies as TOML, the check as text and JSON, mistakes in one line."""

from pathlib import Path

import pytest
from PIL import Image

from headstart.testing.images import class_folders

CLOTHES = Path(__file__).parents[1] / "data" / "clothing"


@pytest.fixture
def photo():
    return str(next((CLOTHES / "dress").glob("*.jpg")))


def test_a_preview_is_written_as_a_picture(run, photo, tmp_path):
    out = tmp_path / "preview.png"
    said = run("augment", photo, "--policy", "heavy", "--grid", "2x5", "--side", "64", "--out", str(out)).out
    assert Image.open(out).size == (5 * 70 + 6, 2 * (64 + 16 + 6) + 6) and "pixels" in said


def test_every_operator_is_drawn(run, photo, tmp_path):
    out = tmp_path / "all.jpg"
    run("augment", photo, "--policy", "all", "--grid", "1x8", "--side", "48", "--out", str(out))
    assert Image.open(out).format == "JPEG" and Image.open(out).width == 8 * 54 + 6


def test_a_policy_is_shown_edited_and_used(run, photo, tmp_path):
    text = run("augment", "--policy", "medium", "--show").out
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("area = 0.35", "area = 0.8"))
    run("augment", photo, "--policy", str(mine), "--grid", "1x3", "--out", str(tmp_path / "x.png"))
    assert (tmp_path / "x.png").exists()


def test_the_check_as_text_and_json(run, tmp_path, as_documented):
    class_folders(tmp_path / "photos", n_per_class=8)
    policy = tmp_path / "mine.toml"
    policy.write_text('steps = [{op = "sharpen", factor = 1.0}, {op = "cutout", share = 1.0, count = 3}]')
    given = ("augment", str(tmp_path / "photos"), "--check", "--policy", str(policy), "--images", "24")
    said = run(*given).out
    assert "destroys labels" in said and "safe" in said and "operators cross" in said
    as_documented("augment", run(*given, "--json").out)


@pytest.mark.parametrize(
    "given, said",
    [
        ((), "an image is missing"),
        (("x.jpg",), "say where the preview goes"),
        (("x.jpg", "--out", "x.gif"), "ends with .png or .jpg"),
        (("x.jpg", "--out", "x.png", "--json"), "--json goes with --check"),
        (("absent.jpg", "--out", "x.png"), "absent.jpg"),
        (("{photo}", "--out", "x.png", "--grid", "4"), "rows x columns"),
        (("{photo}", "--out", "x.png", "--grid", "99x99"), "tiles"),
        (("{photo}", "--out", "x.png", "--policy", "hevy"), "heavy"),
        (("{photo}", "--out", "x.png", "--policy", "absent.toml"), "cannot be read"),
        (("absent", "--check"), "absent"),
        (("--show", "--policy", "all"), "one policy"),
    ],
)
def test_mistakes_are_one_line(run, photo, given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run("augment", *[each.format(photo=photo) for each in given])
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))
