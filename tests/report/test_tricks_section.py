"""The section on tricks: words, table and plot come from the same effects; hostile and missing rows are shown safely."""

import csv
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.cli.tricks_text import trick_lines, write_effects
from headstart.methods.tricks.registry import TRICKS
from headstart.report.document import Claim, Document, Figure, Paragraph, Table
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.sections import tricks
from headstart.report.sources import Bibliography
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


def nothing(name, n=2, **more):
    made = TrickEffect(
        name, (), ("photos",), "had nothing to act on", n_images=300, n_seeds=n, train_seconds=4.0, seconds=5.0, times=1.4,
        runs=tuple(f"run{at}" for at in range(2 * n)), run_times=1.3, start_kept=n, n_pairs=n,
    )  # fmt: skip
    return replace(made, **more)


def test_what_had_nothing_to_act_on_is_no_measured_zero(section):
    made = section(table(effect("ema", 0.03, 0.01), nothing("sam"), nothing("dropout")))
    claims = [block.text for block in made.blocks if isinstance(block, Claim)]
    assert claims[0].startswith("Average of the weights helps.") and "cannot be told" not in claims[0]
    assert claims[1].startswith(
        "Sharpness-aware minimisation and dropout had nothing to act on: with them and"
    )
    (figure,) = [block for block in made.blocks if isinstance(block, Figure)]
    drawn, caption = figure.svg, figure.caption
    assert (
        TRICKS["ema"].title in drawn
        and TRICKS["sam"].title not in drawn
        and TRICKS["dropout"].title not in drawn
    )
    assert (
        "Not drawn, because there is nothing to measure: sharpness-aware minimisation and dropout." in caption
    )
    (rows,) = [block for block in made.blocks if isinstance(block, Table)]
    assert "for the 1 of 3 rows that have an interval together" in rows.caption
    last = rows.rows[-1].entries
    assert [entry.text for entry in last[1:5]] == ["–", "had nothing to act on", "–", "1.40x"]
    assert last[1].sort is None and last[2].small == "in 2 of 2 runs the start was kept"
    page = render(Document("t", "s", (made,)))
    assert "more images to learn from" in page and "--start plain" in page and "--keep last" in page


def test_where_no_trick_had_anything_to_act_on_no_plot_is_drawn(section):
    made = section(
        table(nothing("sam", 1), replace(nothing("ema", 1), runs=("a",) * 10, n_pairs=5, start_kept=5))
    )
    claims = [block for block in made.blocks if isinstance(block, Claim)]
    assert "had nothing to act on" in claims[0].text and claims[0].strong
    assert not [block for block in made.blocks if isinstance(block, Figure)]
    words = [row.entries[2].small for row in made.blocks[-2].rows]
    assert set(words) == {"in 1 of 1 run the start was kept", "in 5 of 5 runs the start was kept"}


def test_runs_that_kept_their_start_are_counted_on_the_row_and_datasets_without_effect_named(section):
    some = effect("ema", 0.03, 0.01, start_kept=1, n_pairs=2)
    some = replace(some, runs=("a", "b", "c", "d"))
    folded = replace(
        effect("sam", 0.0, 0.02), start_kept=4, n_pairs=5, runs=("a", "b"), nothing_on=("drawn",)
    )
    both = table(some, folded, datasets=("photos", "drawn"))
    made = section(both)
    (rows,) = [block for block in made.blocks if isinstance(block, Table)]
    assert [row.entries[2].small for row in rows.rows] == [
        "in 1 of 2 runs the start was kept",
        "in 4 of 5 folds the start was kept; not on drawn, where it had nothing to act on",
    ]
    screen = "\n".join(trick_lines(both))
    assert "helps (in 1 of 2 runs the start was kept)" in screen and "--keep last" in screen
    assert "--keep last" not in "\n".join(trick_lines(table(effect("ema", 0.03, 0.01))))


def test_the_csv_holds_what_had_nothing_to_act_on_without_numbers(tmp_path):
    found = table(nothing("ema"), effect("sam", 0.03, 0.01, nothing_on=("drawn", "=x"), n_pairs=2))
    with write_effects([found], tmp_path / "t.csv").open(encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["kind"], first["effect"], first["low"], first["p"]) == ("had nothing to act on", "", "", "")
    assert (first["start_kept"], first["n_pairs"], first["times"]) == ("2", "2", "1.4")
    assert second["nothing_on"] == "drawn;=x" and second["start_kept"] == "0"


def test_every_form_of_the_report_says_it(section, tmp_path):
    made = section(table(effect("ema", 0.03, 0.01), nothing("sam")))
    document = Document("t", "s", (made,))
    for text in (markdown(document), latex_tables(document)):
        assert "had nothing to act on" in text and "in 2 of 2 runs the start was kept" in text
    record = replace(tiny_record(tmp_path / "short"), tricks=NOTE)
    short = tricks.tricks_in_short(record, Bibliography())
    rows = next(block for block in short.blocks if isinstance(block, Table)).rows
    assert [row.entries[2].text for row in rows] == ["helps", "had nothing to act on"], "the surest first"
    assert any(isinstance(block, Paragraph) and "--keep last" in block.text for block in short.blocks)


def test_an_interval_that_says_nothing_does_not_hide_the_others():
    usual = [Line(str(at), "helps", 3.0, 1.0, 5.0, 2.0, 4.0) for at in range(3)]
    assert axis_reach(usual) is None
    assert axis_reach([*usual, Line("wide", "cannot tell", 2.0, -100.0, 100.0, -90.0, 90.0)]) == 20.0
