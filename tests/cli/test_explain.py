"""explain: maps as text, JSON and a page; mistakes in one line."""

from __future__ import annotations

import re

import pytest

from headstart.testing.backbones import tiny_weights

QUICK = ("--draws", "1", "--fractions", "3")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small backbone with random weights, by the name that commands take."""
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def image(photos):
    return photos / "disc" / "000.jpg"


def test_maps_and_their_figures_as_documented_json(run, small, image, as_documented):
    ran = run("explain", small, image, image, "--method", "gradcam,eigencam", *QUICK, "--json")
    assert ran.status == 0, ran.err
    value = as_documented("explain", ran.out)
    assert len(value["images"]) == 2 and [each["method"] for each in value["methods"]] == [
        "gradcam",
        "eigencam",
    ]
    found = value["images"][0]["outputs"]["class"]["maps"]["gradcam"]
    assert {"randomised", "deletion", "insertion", "chance_deletion"} <= set(found)


def test_a_page_with_a_second_model_channels_and_a_set(run, small, image, photos, tmp_path):
    page = tmp_path / "<img src=x>.html"
    ran = run(
        "explain", small, image, "--no-check", "--beside", small, "--set", photos, "--most", "6", "--channel", "1,2",
        "--landscape", "--landscape-side", "32", "--landscape-steps", "2", "--landscape-grid", "3",
        "--optimisers", "beale", "--html", page,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert "CKA with" in ran.out and "from pretrained" in ran.out
    text = page.read_text("utf-8")
    for title in (
        "Maps",
        "What single channels do",
        "What training changed",
        "Why a good start matters",
        "channel 2",
    ):
        assert title in text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?https?:""", text.split("<main>")[1])


def test_a_file_that_is_no_image_is_told_and_the_others_are_explained(
    run, small, image, tmp_path, as_documented
):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    value = as_documented("explain", run("explain", small, bad, image, "--no-check", "--json").out)
    assert len(value["images"]) == 1 and value["unreadable"][0]["path"] == str(bad)
    ran = run("explain", small, bad)
    assert ran.status == 2 and "none of 1 images can be read" in ran.err


@pytest.mark.parametrize(
    "given, said",
    [
        (("--method", "gradcamm"), "did you mean"),
        (("--label", "1000"), "outside 0 .. 999"),
        (("--label", "nothing"), "no class is called"),
        (("--layer", "pool"), "has no rows and columns"),
        (("--layer", "stagee2"), "stage2"),
        (("--output", "size"), "no output is called"),
        (("--channel", "99999", "--html", "{page}"), "channel: 99999 is outside"),
        (("--landscape",), "say on which images"),
        (("--optimisers", "beale"), "say where the page goes"),
        (("--draws", "0"), "draws: 0 is below 1"),
        (("--beside", "lite9"), "lite9"),
    ],
)
def test_mistakes_are_one_line(run, small, image, tmp_path, given, said):
    ran = run(
        "explain", small, image, "--no-check", *[each.format(page=tmp_path / "p.html") for each in given]
    )
    assert ran.status == 2 and said in ran.err and len(ran.err.splitlines()) == 1, ran.err
    assert not (tmp_path / "p.html").exists()


def test_an_image_smaller_than_the_stride_is_explained_at_the_last_layer_with_places(
    run, small, image, as_documented
):
    """The network halves its images five times: of 24 pixels its last stage keeps one place, the one before 2 x 2."""
    ran = run("explain", small, image, "--no-check", "--input-size", "24", "--json")
    assert ran.status == 0, ran.err
    (method,) = as_documented("explain", ran.out)["methods"]
    assert method["layer"] == "layer3"


def test_an_image_size_that_the_network_cannot_take_is_one_line(run, image, tmp_path):
    """This one does not pad, so that nothing is left of 24 pixels."""
    name = tiny_weights(tmp_path, "test_convnext")
    ran = run("explain", name, image, "--no-check", "--input-size", "24")
    assert ran.status == 2 and len(ran.err.splitlines()) == 1, ran.err
    assert "cannot take images of 24 x 24" in ran.err


def test_a_second_model_that_cannot_be_compared_layer_by_layer_is_told(run, small, image, photos):
    few = run("explain", small, image, "--no-check", "--beside", small)
    assert few.status == 0 and "CKA with" not in few.out
    assert "no CKA of 1 images, it needs 4 or more" in few.err
    other = run("explain", small, photos / "disc", "--no-check", "--beside", small, "--input-size", "64")
    assert other.status == 0 and "CKA with" not in other.out
    assert "prepare images differently: height 64 and 160; width 64 and 160" in other.err
