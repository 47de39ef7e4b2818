"""Policies: sequence, one of, some of, sometimes; TOML there and back; mistakes told all at once."""

import threading

import numpy as np
import pytest
from torchvision.transforms import v2

from headstart.base.errors import BadOptions, UnknownName
from headstart.images.augment import (
    OPERATORS,
    PRESETS,
    Group,
    Policy,
    Step,
    augment,
    find_policy,
    parse_policy,
    read_policy,
)
from headstart.images.augment.automatic import MAGNITUDES, RAND_TABLE, WIDE_TABLE
from headstart.images.views import POLICIES, as_views
from headstart.images.views import policy as view_policy

PICTURE = np.arange(24 * 24 * 3, dtype=np.uint8).reshape(24, 24, 3)


def run(steps, seed):
    return augment(PICTURE, Policy("test", tuple(steps)), np.random.default_rng(seed))


def levels(step_list, n=400):
    flat = np.full((2, 2, 3), 100, np.uint8)
    found = [
        augment(flat, Policy("t", tuple(step_list)), np.random.default_rng(s))[0, 0, 0] for s in range(n)
    ]
    return np.array(found)


def fixed(factor, p=1.0):
    return Step("brightness", (("factor", factor),), p)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_the_way_through_toml(name):
    found = parse_policy(PRESETS[name].to_toml(), "x")
    assert found == PRESETS[name] and found.digest() == PRESETS[name].digest()


def test_groups_survive_the_way_through_toml(tmp_path):
    inner = Group("some_of", (fixed(0.5), Step("invert"), Step("grey")), n=(1, 2), p=0.25)
    made = Policy(
        "mine",
        (Group("one_of", (inner, Step("jpeg")), weights=(3.0, 1.0)), Group("sequence", (fixed(2),), p=0.5)),
    )
    (tmp_path / "mine.toml").write_text(made.to_toml())
    assert read_policy(tmp_path / "mine.toml") == made == find_policy(str(tmp_path / "mine.toml"))


def test_sometimes_happens_as_often_as_it_says():
    assert abs((levels([fixed(0.5, p=0.3)]) == 50).mean() - 0.3) < 0.07
    group = Group("sequence", (fixed(0.5), fixed(0.5)), p=0.3)
    found = levels([group])
    assert set(found) == {25, 100} and abs((found == 25).mean() - 0.3) < 0.07


def test_one_of_takes_one_by_its_weight():
    found = levels([Group("one_of", (fixed(0.5), fixed(2.0)), weights=(1.0, 3.0))])
    assert set(found) == {50, 200} and abs((found == 200).mean() - 0.75) < 0.07


def test_some_of_takes_as_many_as_it_says_each_at_most_once():
    found = levels([Group("some_of", (fixed(0.5), fixed(0.1), fixed(2.0)), n=(2, 2))])
    assert set(found) == {5, 100, 20}


def test_a_policy_is_the_same_in_every_thread():
    alone = [run(PRESETS["heavy"].steps, seed) for seed in range(24)]
    together = [None] * 24

    def work(at):
        together[at] = run(PRESETS["heavy"].steps, at)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(24)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_every_mistake_of_a_file_is_told_at_once():
    text = """
    name = "bad"
    colour = 1
    steps = [
      {op = "rotat"},
      {op = "rotate", degrees = [10, -10]},
      {op = "rotate", angle = 3, p = 2},
      {op = "pad", border = "mirror"},
      {op = "one_of", steps = [{op = "mixup"}], weights = [1, 2]},
      {op = "some_of"},
      7,
    ]
    """
    with pytest.raises(BadOptions) as error:
        parse_policy(text, "bad.toml")
    said = str(error.value)
    for part in (
        "'colour' is not known", "steps[0]: no operator is called 'rotat'; did you mean rotate", "ends before it begins",
        "has no parameter 'angle'", "p: 2", "'mirror' is not one of", "mixup mixes a whole batch", "weights",
        "some_of needs steps", "steps[6]: expected",
    ):  # fmt: skip
        assert part in said, part


@pytest.mark.parametrize("text", ["steps = 3", "name = 'x'", "steps = [", "steps = [{op = 3}]", ""])
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(BadOptions):
        parse_policy(text, "bad.toml")


def test_a_policy_nested_too_deep_is_refused():
    text = "steps = [" + '{op = "sequence", steps = [' * 20 + '{op = "grey"}' + "]}" * 20 + "]"
    with pytest.raises(BadOptions, match="deep"):
        parse_policy(text, "deep.toml")


def test_unknown_names_and_absent_files_are_told(tmp_path):
    with pytest.raises(UnknownName, match="medium"):
        find_policy("mediom")
    with pytest.raises(BadOptions, match="cannot be read"):
        find_policy(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_views_draw_the_presets_of_the_same_name(name):
    assert as_views(PRESETS[name]) == POLICIES[name]


def test_a_longer_policy_goes_on_after_crop_mirror_and_colours():
    found = view_policy("heavy")
    assert (found.least_area, found.mirror, found.colour) == (0.2, 0.5, 0.4)
    assert found.then is not None and len(found.then.steps) == len(PRESETS["heavy"].steps) - 3
    assert view_policy("heavy").digest() != view_policy("medium").digest()


def test_views_do_not_mix_images():
    with pytest.raises(BadOptions, match="--mixup"):
        as_views(Policy("m", (Step("mixup"),)))


def torchvision_tables():
    rand = v2.RandAugment()._AUGMENTATION_SPACE
    wide = v2.TrivialAugmentWide()._AUGMENTATION_SPACE
    return {"rand": (RAND_TABLE, rand, 331), "wide": (WIDE_TABLE, wide, 224)}


NAMES = {
    "Identity": "", "ShearX": "shear", "ShearY": "shear", "TranslateX": "shift", "TranslateY": "shift",
    "Rotate": "rotate", "Brightness": "brightness", "Color": "saturation", "Contrast": "contrast",
    "Sharpness": "sharpen", "Posterize": "posterise", "Solarize": "solarise", "AutoContrast": "autocontrast",
    "Equalize": "equalise",
}  # fmt: skip


@pytest.mark.parametrize("which", ["rand", "wide"])
def test_the_automatic_tables_are_those_of_torchvision(which):
    ours, theirs, side = torchvision_tables()[which]
    assert [each.name for each in ours] == [NAMES[each] for each in theirs]
    for move, (name, (magnitudes, signed)) in zip(ours, theirs.items(), strict=True):
        given = magnitudes(MAGNITUDES, side, side)
        if given is None:
            continue
        most, least = float(given[-1]), float(given[0])
        if name.startswith("Translate"):
            most, least = most / side, least / side
        if name.startswith("Shear"):
            most, least = np.degrees(np.arctan(most)), 0.0
        assert move.signed == signed and abs(move.most - most) < 0.02 * max(1, abs(most)), name
        assert abs(move.least - least) < 1e-6, name


def test_operators_refuse_values_beyond_their_range():
    assert OPERATORS["rotate"].mistakes({"degrees": 400})
    assert OPERATORS["cutout"].mistakes({"count": 1.5})
    assert not OPERATORS["cutout"].mistakes({"count": [1, 3]})
    assert OPERATORS["brightness"].mistakes({"factor": float("nan")}) and OPERATORS["brightness"].mistakes(
        {"factor": True}
    )
