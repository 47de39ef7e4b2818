"""summary: what a network is made of, as text, Markdown, JSON and a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

VGG16 = {
    "block1_conv1": ("224x224x64", "1,792"), "block1_conv2": ("224x224x64", "36,928"),
    "block1_pool": ("112x112x64", "0"),
    "block2_conv1": ("112x112x128", "73,856"), "block2_conv2": ("112x112x128", "147,584"),
    "block2_pool": ("56x56x128", "0"),
    "block3_conv1": ("56x56x256", "295,168"), "block3_conv2": ("56x56x256", "590,080"),
    "block3_conv3": ("56x56x256", "590,080"), "block3_pool": ("28x28x256", "0"),
    "block4_conv1": ("28x28x512", "1,180,160"), "block4_conv2": ("28x28x512", "2,359,808"),
    "block4_conv3": ("28x28x512", "2,359,808"), "block4_pool": ("14x14x512", "0"),
    "block5_conv1": ("14x14x512", "2,359,808"), "block5_conv2": ("14x14x512", "2,359,808"),
    "block5_conv3": ("14x14x512", "2,359,808"), "block5_pool": ("7x7x512", "0"),
}  # fmt: skip


def test_vgg16_prints_the_shapes_and_parameters_of_the_textbook(run):
    lines = [line.split() for line in run("summary", "vgg16").out.splitlines()]
    shown = {line[0]: (line[2], line[3]) for line in lines if line and line[0].startswith("block")}
    assert shown == VGG16
    assert list(shown) == list(VGG16)
    assert ["parameters", "14,714,688"] in lines


def test_a_new_head_and_what_trains_under_it(run):
    ran = run(
        "summary", "vgg16", "--pooling", "avg", "--dense", "256", "--classes", "10",
        "--trainable", "block5_conv1",
    )  # fmt: skip
    facts = dict(
        line.split()[:2] for line in ran.out.splitlines() if line.count("  ") and len(line.split()) > 1
    )
    assert (facts["parameters"], facts["trainable"], facts["frozen"]) == (
        "14,848,586",
        "7,213,322",
        "7,635,264",
    )
    trains = {line.split()[0]: line.split()[-1] for line in ran.out.splitlines() if "ReLU" in line}
    assert (trains["block4_conv3"], trains["block5_conv1"], trains["dense1"]) == ("no", "yes", "yes")


@pytest.mark.parametrize(
    "name", ["vgg16", "lite0", "timm:swin_tiny_patch4_window7_224", "timm:beit_base_patch16_224"]
)
def test_the_json_is_as_documented_and_adds_up(run, as_documented, name):
    found = as_documented("summary", run("summary", name, "--top", "--json").out)
    for key in ("n_parameters", "n_trainable", "n_statistics", "macs", "activation_bytes"):
        assert found[key] == sum(layer[key] for layer in found["layers"])
    assert found["n_parameters"] == sum(stage["n_parameters"] for stage in found["stages"])


def test_markdown_is_a_table_and_a_list(run):
    lines = run("summary", "timm:resnet18", "--markdown").out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert any(line.startswith("| layer4.1.conv2 | Conv2d | 7x7x512 | 2,359,296 |") for line in rows)
    assert "- parameters: 11,176,512" in lines


def test_the_picture_has_a_block_for_every_stage(run, tmp_path):
    ran = run("summary", "lite0", "--trainable", "last:2", "--plot", tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text.startswith("stage")] == [f"stage{n}" for n in range(1, 8)]
    assert {"frozen", "trains", "224x224x3", "7x7x320"} <= set(texts)
    assert str(tmp_path / "a.svg") in ran.out


WRONG = {
    "20x30 runs out": (["vgg16", "--size", "20x30"], "block5_pool"),
    "dense layers of one size": (["vgg16", "--top", "--size", "100x200"], "fc1 has weights for the flatten of 7x7x512"),
    "no such network": (["vgg17"], "did you mean 'vgg19' or 'vgg16'"),
    "no such timm network": (["timm:resnet19"], "resnet18"),
    "no such tag": (["timm:resnet18.nobody"], "nobody"),
    "no name": ([""], "no backbone is called ''"),
    "escapes": (["a\x1b[2J\nb"], r"'a\x1b[2J\nb'"),
    "a path": (["../../etc/passwd"], "no backbone is called"),
    "a file without a network": (["weights.pth"], "timm:ARCHITECTURE@"),
    "a file that is not there": (["vgg16@/nowhere.safetensors"], "no such weights file"),
    "no such cut": (["vgg16", "--trainable", "last:6"], "last:1 to last:5"),
    "no such layer": (["vgg16", "--trainable", "block6_conv1"], "did you mean 'block5_conv1'"),
    "two tops": (["vgg16", "--top", "--classes", "3"], "leave one of them out"),
    "no pooling": (["vgg16", "--pooling", "median"], "pooling"),
    "no width": (["vgg16", "--dense", "0"], "dense: 0 is below 1"),
    "no size": (["vgg16", "--size", "big"], "'big' is no size"),
    "nothing": (["vgg16", "--size", "0x10"], "outside 1 .. 8192"),
    "huge": (["vgg16", "--size", "99999"], "outside 1 .. 8192"),
    "no SVG": (["vgg16", "--plot", "a.png"], "ends with .svg"),
    "two formats": (["vgg16", "--json", "--markdown"], "take one of them"),
    "positions of another size": (["timm:vit_tiny_patch16_224", "--size", "8"], "patch_embed"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_one_line_that_says_why(run, case):
    arguments, said = WRONG[case]
    ran = run("summary", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert said in ran.err


@pytest.mark.parametrize("command", [["fit"], ["fit", "--scenario", "full"], ["study"]])
def test_a_network_without_published_weights_says_so_where_they_are_asked(run, photos, tmp_path, command):
    verb, *options = command
    ran = run(verb, photos, "--backbone", "lenet5", *options, "--out", tmp_path / "out")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "lenet5: no pretrained weights are published for it" in ran.err
