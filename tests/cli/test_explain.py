"""explain: maps as text, JSON and a page; mistakes in one line."""

from __future__ import annotations

import re

import pytest
import torch

from headstart.backbones.load import load
from headstart.cli.explain import ExplainOptions
from headstart.cli.main import main
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
    assert all(abs(each["randomised"]) <= each["size"] + 1e-9 for each in value["methods"])


def test_a_page_with_a_second_model_channels_and_a_set(run, small, image, photos, tmp_path):
    page = tmp_path / "<img src=x>.html"
    ran = run(
        "explain", small, image, "--no-check", "--beside", small, "--set", photos, "--most", "6", "--channel", "1,2",
        "--landscape", "--landscape-side", "32", "--landscape-steps", "2", "--landscape-grid", "3",
        "--optimisers", "beale", "--html", page,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert "CKA with" in ran.out and "from pretrained" in ran.out and "steps until it was halved" in ran.out
    assert "correlation with random weights" not in ran.out
    text = page.read_text("utf-8")
    for title in (
        "Maps",
        "What single channels do",
        "What training changed",
        "Why a good start matters",
        "channel 2",
        "Both starts on one surface",
        "which the corner shows enlarged",
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


def test_an_image_smaller_than_the_stride_is_refused_in_one_line_with_the_least_size(
    run, small, image, tmp_path
):
    """The network halves its images five times; what its last stage says of fewer than 32 pixels has no places."""
    page = tmp_path / "page.html"
    for more in ((), ("--layer", "stage2"), ("--beside", small)):
        ran = run("explain", small, image, "--input-size", "24", "--html", page, *more)
        assert ran.status == 2 and len(ran.err.splitlines()) == 1 and not page.exists(), ran.err
        assert "smaller than the network's stride of 32 pixels" in ran.err
        assert "the least size that works is 32 x 32 (--input-size 32" in ran.err
    least = run("explain", small, image, "--no-check", "--input-size", "32")
    assert least.status == 0 and "keeps a single place (1 x 1), so that a map of it is flat" in least.err
    assert len(least.err.splitlines()) == 1
    pixels = ("--no-check", "--method", "occlusion", "--windows", "2", "--html", page)
    other = run("explain", small, image, "--input-size", "24", *pixels)
    assert other.status == 0 and not other.err and "at stage3" in page.read_text("utf-8")


def test_where_a_map_is_flat_it_is_said_and_no_number_is_missing(run, image, tmp_path, as_documented):
    """The score of the class that is always named does not hang on the image, so that its maps are zeros."""
    import timm
    from safetensors.torch import save_file

    state = timm.create_model("test_resnet").state_dict()
    state["fc.weight"][0], state["fc.bias"][0] = 0, 100
    file = tmp_path / "flat.safetensors"
    save_file(state, file)
    page, name = tmp_path / "page.html", f"timm:test_resnet@{file}"
    ran = run("explain", name, image, *QUICK, "--html", page)
    assert ran.status == 0, ran.err
    head, row, figure, _ = ran.out.splitlines()
    assert row.split("gradcam")[1].split()[:4] == ["none", "map", "is", "flat"] and "random weights" in head
    assert "correlation with random weights cannot tell: every map is flat" in figure
    assert page.read_text("utf-8").count("map is flat") >= 3
    (method,) = as_documented("explain", run("explain", name, image, *QUICK, "--json").out)["methods"]
    assert method["randomised"] is method["size"] is None and not method["passed"]
    bare = run("explain", name, image, "--no-check")
    assert "random weights" not in bare.out and "deletion" not in bare.out


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
    other = run("explain", small, photos / "disc", "--no-check", "--beside", "lite0", "--input-size", "64")
    assert other.status == 0 and "CKA with" not in other.out
    assert "prepare images differently: " in other.err and "height" not in other.err


def test_a_backbone_beside_is_opened_at_the_size_of_the_first(run, small, photos, as_documented):
    ran = run(
        "explain", small, photos / "disc", "--no-check", "--beside", small, "--input-size", "64", "--json"
    )
    assert ran.status == 0, ran.err
    (change,) = as_documented("explain", ran.out)["changes"]
    assert change["n"] == 10 and change["cka"][0][0] == pytest.approx(1)


def test_the_class_and_layer_that_were_asked_for_are_those_of_the_second_model_too(
    run, small, image, tmp_path, as_documented
):
    page = tmp_path / "page.html"
    ran = run(
        "explain", small, image, "--no-check", "--beside", small, "--label", "7", "--layer", "stage2", "--json",
        "--html", page,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    found = as_documented("explain", ran.out)
    first, second = (each["images"][0]["outputs"]["class"]["number"] for each in (found, found["beside"]))
    assert first == second == 7
    assert found["methods"][0]["layer"] == found["beside"]["methods"][0]["layer"] == "layer2"
    assert page.read_text("utf-8").count("Grad-CAM at stage2") >= 2


def test_the_maps_of_the_second_model_are_checked_as_those_of_the_first(
    run, small, image, tmp_path, as_documented
):
    """The same network beside itself has the same figures, in the text, in the page and as JSON."""
    page = tmp_path / "page.html"
    ran = run("explain", small, image, image, *QUICK, "--beside", small, "--json", "--html", page)
    assert ran.status == 0, ran.err
    found = as_documented("explain", ran.out)
    assert found["beside"]["methods"] == found["methods"]
    assert {"randomised", "size", "passed", "other_image", "verdict", "deletion", "chance_insertion"} <= set(
        found["beside"]["methods"][0]
    )
    own, other = (
        each["images"][0]["outputs"]["class"]["maps"]["gradcam"] for each in (found, found["beside"])
    )
    assert own == other and isinstance(other["randomised"], float)
    text = page.read_text("utf-8")
    assert text.count("random weights") >= 2 * 3 and "not checked" not in text
    said = run("explain", small, image, image, *QUICK, "--beside", small).out.splitlines()
    assert sum("correlation with random weights" in line for line in said) == 2
    assert sum(line.startswith("beside: ") for line in said) == 1


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_a_page_without_class_activation_maps_has_feature_maps_of_a_layer(
    run, small, image, tmp_path, method
):
    page = tmp_path / "page.html"
    few = ("--windows", "2") if method == "occlusion" else ("--steps", "2")
    ran = run("explain", small, image, "--no-check", "--method", method, *few, "--html", page)
    assert ran.status == 0, ran.err
    assert "000.jpg at stage" in page.read_text("utf-8") and "at None" not in page.read_text("utf-8")


@pytest.fixture(scope="module")
def neighbours(photos, tmp_path_factory):
    """A model that ends in nearest neighbours."""
    out = tmp_path_factory.mktemp("models") / "knn"
    options = ["--head", "knn", "--layer", "stage4", "--input-size", "48", "--engine", "torch"]
    assert main(["fit", str(photos), *options, "--out", str(out)]) == 0
    return out


def test_nearest_neighbours_have_a_page_too(run, neighbours, image, photos, tmp_path):
    page = tmp_path / "page.html"
    options = ("--method", "occlusion", "--windows", "2", "--fractions", "2")
    ran = run("explain", neighbours, image, *options, "--set", photos, "--most", "5", "--html", page)
    assert ran.status == 0, ran.err
    text = page.read_text("utf-8")
    assert "Feature maps of 000.jpg at stage4: the channels that it excites most" in text
    assert "among 5 of 30 images of the set" in text and "disc/" in text
    refused = run("explain", neighbours, image, "--method", "occlusion,gradcam")
    assert refused.status == 2 and "take occlusion" in refused.err and len(refused.err.splitlines()) == 1


def test_nearest_neighbours_are_checked_against_a_network_of_random_weights_behind_them(
    run, neighbours, image, photos, as_documented
):
    options = ("--method", "occlusion", "--windows", "4", "--fractions", "2", "--draws", "2")
    ran = run("explain", neighbours, image, photos / "square" / "000.jpg", *options)
    assert ran.status == 0, ran.err
    rows = [line.split("occlusion")[1] for line in ran.out.splitlines() if ".jpg" in line]
    found = [re.split(r"\s{2,}", row.strip()) for row in rows]  # peak, random weights, deletion, insertion
    assert [len(each) for each in found] == [4, 4], ran.out
    assert all(re.fullmatch(r"-?[01]\.\d\d|(random )?map is flat", each[1]) for each in found), ran.out
    assert "occlusion: correlation with random weights" in ran.out
    (method,) = as_documented("explain", run("explain", neighbours, image, *options, "--json").out)["methods"]
    assert {"randomised", "size", "verdict", "passed", "deletion", "insertion"} <= set(method)


def test_an_image_of_the_set_that_cannot_be_read_is_told_and_left_out(run, small, image, photos, tmp_path):
    folder = tmp_path / "set" / "disc"
    folder.mkdir(parents=True)
    for each in sorted((photos / "disc").iterdir())[:5]:
        (folder / each.name).write_bytes(each.read_bytes())
    whole = (folder / "000.jpg").read_bytes()
    (folder / "000.jpg").write_bytes(whole[: len(whole) // 2])
    page = tmp_path / "page.html"
    ran = run(
        "explain", small, image, "--no-check", "--set", tmp_path / "set", "--channel", "1", "--html", page
    )
    assert ran.status == 0, ran.err
    assert "set: 1 of 5 images cannot be read and are left out (first: disc/000.jpg" in ran.err
    text = page.read_text("utf-8")
    assert "the channels that were asked for" in text and "among 4 of 5 images of the set" in text
    for each in folder.iterdir():
        each.write_bytes(whole[: len(whole) // 2])
    none = run(
        "explain", small, image, "--no-check", "--set", tmp_path / "set", "--html", tmp_path / "no.html"
    )
    assert none.status == 2 and "none of 5 images can be read" in none.err
    assert not (tmp_path / "no.html").exists()


def test_the_landscape_as_documented_json_has_every_path_on_every_surface(
    run, small, image, photos, tmp_path, as_documented
):
    ran = run(
        "explain", small, image, "--no-check", "--set", photos, "--most", "6", "--landscape", "--landscape-side", "32",
        "--landscape-steps", "2", "--landscape-grid", "3", "--seed", "5", "--html", tmp_path / "page.html", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    found = as_documented("explain", ran.out)["landscape"]
    for number, name in enumerate(("random", "pretrained")):
        start, there = found[name], found["together"][name]
        assert len(start["losses"]) == len(there["path"]) == 3 and start["moved"] > 0
        assert (
            start["plane"]["explained"] == start["explained"] > 0.9 > 0.01 > start["around"]["explained"] > 0
        )
        for surface in (start["plane"], start["around"]):
            assert len(surface["path"]) == 3 and len(surface["loss"]) == len(surface["y"]) == 3
        ends = [*there["path"][0], *there["path"][-1]]
        assert ends == pytest.approx([number, 0, number, 1], abs=1e-6)
    both = found["together"]
    assert (
        len(both["loss"]) == len(both["y"]) and len(both["loss"][0]) == len(both["x"]) and both["apart"] > 0
    )


def test_at_the_default_size_lite0_still_has_places_in_its_last_map():
    how, backbone = ExplainOptions(), load("lite0")
    with torch.no_grad():
        last = backbone.module.forward_features(torch.zeros(1, 3, how.landscape_side, how.landscape_side))
    assert last.shape[-2:] == (2, 2)


def test_a_landscape_without_two_classes_is_refused_in_one_line(run, small, image, photos, tmp_path):
    options = ("--no-check", "--set", photos / "disc", "--landscape", "--html", tmp_path / "page.html")
    ran = run("explain", small, image, *options)
    assert ran.status == 2 and len(ran.err.splitlines()) == 1, ran.err


@pytest.mark.parametrize(
    "given, said",
    [
        (("--channel", "3"), "channel: say where the page goes"),
        (("--set", "photos"), "set: only a page or a second model looks at it"),
        (("--layer", "stage2", "--method", "occlusion"), "layer: occlusion is computed in the pixels"),
        (("--steps", "3"), "steps: only for --method integrated_gradients"),
        (("--windows", "3"), "windows: only for --method occlusion"),
        (("--no-check", "--draws", "2"), "draws: nothing is checked"),
        (("--most", "5"), "most: say of which images"),
        (("--landscape-grid", "5"), "landscape-grid: only with --landscape"),
    ],
)
def test_options_that_would_be_ignored_are_refused_before_any_work(run, given, said):
    ran = run("explain", "no such model", "no such image", *given)
    assert ran.status == 2 and said in ran.err and len(ran.err.splitlines()) == 1, ran.err


def test_an_image_that_cannot_be_read_stops_where_that_is_asked(run, small, image, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    ran = run("explain", small, image, text, "--no-check", "--on-bad", "fail")
    assert ran.status == 2 and "text.jpg" in ran.err and "or use --on-bad skip" in ran.err
    assert run("explain", small, image, text, "--no-check").status == 0


@pytest.mark.parametrize("content", [b"hello", b"", b"\x80\x04."])
def test_a_file_that_holds_no_weights_is_refused_in_a_line(run, image, tmp_path, content):
    file = tmp_path / "w.pth"
    file.write_bytes(content)
    ran = run("explain", f"timm:resnet18@{file}", image, "--no-check")
    assert ran.status == 2 and "not a weights file that is safe to read" in ran.err
