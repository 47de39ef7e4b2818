"""The section on tricks: words, table and plot come from the same effects; hostile and missing rows are shown safely."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.cli.tricks_text import trick_lines, write_effects
from headstart.methods.tricks.registry import TRICKS
from headstart.report.document import Claim, Document, Figure, Table
from headstart.report.html import render
from headstart.report.sections import tricks
from headstart.report.trick_figures import Line, axis_reach
from headstart.study.trick_effects import TrickEffect, TrickTable
from headstart.testing.records import tiny_record

NAMES = list(TRICKS)
NOTE = {"design": "one-at-a-time", "asked": NAMES[:3], "of": [{"names": NAMES[:3], "left_out": {}}]}


def effect(name, value, half, **more):
    kind = "cannot tell" if abs(value) <= half else "helps" if value > 0 else "hurts"
    p = 0.5 if kind == "cannot tell" else 0.01
    plain = half / 1.5
    return TrickEffect(
        name, (), ("photos",), kind, value, value - half, value + half, value - plain, value + plain, p / 2, p, 300, 3,
        4.0, 5.0, 1.4, ("run1",), run_times=1.3, **more,
    )  # fmt: skip


def table(*effects, **more):
    made = TrickTable(
        "finetune", "lite0", "last:1", "224x224", 40, "one-at-a-time", None, ("photos",), 3, 0.9, effects, (),
        {"zero_gamma": "it sets starting weights"}, ("run1",),
    )  # fmt: skip
    return replace(made, **more)


@pytest.fixture
def section(monkeypatch, tmp_path):
    def make(*tables):
        monkeypatch.setattr(tricks, "trick_tables", lambda record: tables)
        return tricks.tricks_section(replace(tiny_record(tmp_path / "images"), tricks=NOTE))

    return make


def test_a_study_without_tricks_has_no_such_section(tmp_path):
    assert tricks.tricks_section(tiny_record(tmp_path)) is None


def test_who_helps_who_hurts_what_it_costs_and_what_is_not_there(section):
    made = section(table(effect("ema", 0.03, 0.01), effect("mixup", -0.05, 0.02), effect("sam", 0.01, 0.04)))
    claims = [block.text for block in made.blocks if isinstance(block, Claim)]
    assert "average of the weights helps; mixup hurts; of 1 more it cannot be told" in claims[0].lower()
    assert "90.0 %" in claims[0] and claims[1].startswith("zero gamma is not there: it sets starting weights")
    (figure,) = [block for block in made.blocks if isinstance(block, Figure)]
    assert figure.runs == ("run1",) and "<svg" in figure.svg
    (rows,) = [block for block in made.blocks if isinstance(block, Table)]
    first = [entry.text for entry in rows.rows[0].entries]
    assert first[:3] == ["average of the weights", "+3.0", "helps"] and first[4] == "1.40x"
    assert rows.rows[0].entries[1].small == "+2.0 to +4.0"
    costs = [(entry.text, entry.small) for entry in rows.rows[0].entries[4:6]]
    assert costs == [("1.40x", "+4.0 s"), ("1.30x", "+5.0 s")]
    screen = "\n".join(
        trick_lines(table(effect("ema", 0.03, 0.01), replace(effect("sam", 0.0, 0.1), seconds=-5.0)))
    )
    assert "1.40x (+4.0 s)  1.30x (+5.0 s)" in screen and "1.30x (-5.0 s)" in screen
    page = render(Document("t", "s", (made,)))
    assert "Forest plot of tricks" in page


@given(st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(0.001, 0.2)), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_words_and_table_never_disagree(values):
    effects = [effect(NAMES[at], value, half) for at, (value, half) in enumerate(values)]
    said = tricks.trick_claims(table(*effects))[0].text.casefold()
    rows = tricks._table(tuple(effects), "t", "c").rows
    shown = {row.entries[0].text: row.entries[2].text for row in rows}
    for each in effects:
        title = TRICKS[each.trick].title
        assert shown[title] == each.kind
        assert (title.casefold() in said) == (each.kind != "cannot tell")


def test_missing_effects_are_counted_and_dashes_stand_in_the_table(section):
    gone = TrickEffect("ema", (), ("photos",), "missing", why="1 of 2 combinations are not there")
    made = section(table(gone))
    assert any(
        "1 effect cannot be given: 1 of 2" in each.text for each in made.blocks if isinstance(each, Claim)
    )
    (rows,) = [block for block in made.blocks if isinstance(block, Table)]
    assert [entry.text for entry in rows.rows[0].entries][1:3] == ["–", "missing"] or rows.rows[0].entries[
        1
    ].sort is None
    assert not [block for block in made.blocks if isinstance(block, Figure)]
    assert "missing" in "\n".join(trick_lines(table(gone)))


def test_a_factorial_design_states_its_resolution_and_names_what_it_mixes_up(section):
    pair = replace(effect("ema x sam", 0.02, 0.05), aliases=("mixup x dropout",))
    made = section(table(effect("ema", 0.03, 0.01), pair, design="factorial", resolution=4))
    text = render(Document("t", "s", (made,)))
    assert "Its resolution is IV" in text and "mixup x dropout" in text
    full = section(table(effect("ema", 0.03, 0.01), design="factorial", resolution=0, n_seeds=1))
    text = render(Document("t", "s", (full,)))
    assert "Every combination is run" in text and "intervals are too narrow" in text


def test_names_that_look_like_formulas_stay_text_in_the_csv(tmp_path):
    bad = "=cmd|' /C calc'!A0"
    lines = write_effects([table(replace(effect("ema", 0.03, 0.01), datasets=(bad,)))], tmp_path / "t.csv")
    assert "\n'=cmd" in lines.read_text("utf-8")
    page = render(
        Document(
            "t", "s", (tricks._part(table(effect("ema", 0.1, 0.01), left_out={"sam": "<script>"}), "t"),)
        )
    )
    assert "<script>." not in page and "&lt;script&gt;" in page


def test_where_nothing_can_be_told_that_is_what_the_section_says(section):
    each = effect("ema", 0.01, 0.04)
    made = section(table(each, by_dataset=(each,)))
    said = next(block.text for block in made.blocks if isinstance(block, Claim))
    assert said.startswith("Of 1 effect it cannot be told whether there is one.")
    last = [block for block in made.blocks if isinstance(block, Table)][-1]
    assert [entry.text for entry in last.rows[0].entries][:2] == ["photos", "average of the weights"]
    assert len(last.columns) == len(last.rows[0].entries)


def test_datasets_that_disagree_in_sign_are_named_in_words_and_on_the_row(section):
    split = replace(
        effect("ema", 0.01, 0.9), datasets=("photos", "drawn"), values=(0.05, -0.03), between=0.05, differ_p=0.001,
        doubt="datasets disagree in sign",
    )  # fmt: skip
    both = table(split, effect("sam", 0.03, 0.01), datasets=("photos", "drawn"))
    made = section(both)
    said = next(block.text for block in made.blocks if isinstance(block, Claim))
    assert "on average of the weights the datasets disagree in sign" in said
    (rows,) = [block for block in made.blocks if isinstance(block, Table)]
    small = {row.entries[0].text: row.entries[2].small for row in rows.rows}
    assert small == {
        "average of the weights": "datasets disagree in sign: photos +5.0, drawn -3.0",
        TRICKS["sam"].title: "",
    }
    assert "what is said holds for these two" in tricks.how(both)
    assert "datasets like these" in tricks.how(replace(both, datasets=("a", "b", "c")))
    assert "cannot tell (datasets disagree in sign)" in "\n".join(trick_lines(both))


def test_an_interval_that_says_nothing_does_not_hide_the_others():
    usual = [Line(str(at), "helps", 3.0, 1.0, 5.0, 2.0, 4.0) for at in range(3)]
    assert axis_reach(usual) is None
    assert axis_reach([*usual, Line("wide", "cannot tell", 2.0, -100.0, 100.0, -90.0, 90.0)]) == 20.0
