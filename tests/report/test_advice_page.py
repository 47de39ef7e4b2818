"""The page of the adviser."""

import re

from headstart.report.advice import advice_document
from headstart.report.html import render
from headstart.study.advise import TABLE, predict
from headstart.testing.situations import tiny_situation


def test_the_place_on_the_textbooks_table_is_marked_once_and_where_it_belongs():
    for n, distance in ((60, 0.03), (60, 0.5), (2000, 0.03), (2000, 0.5)):
        found = predict(tiny_situation(n=n, distance=distance))
        text = render(advice_document(found))
        assert text.count("this data set is here") == 1
        before = text[: text.index("this data set is here")]
        last = max(TABLE.values(), key=lambda words: before.rfind(words))
        assert last == found.textbook


def test_every_number_is_on_the_page_and_names_are_escaped():
    found = predict(tiny_situation())
    text = render(advice_document(found))
    assert "<b>cats</b>" not in text and "&lt;b&gt;cats&lt;/b&gt;" in text
    for word in (
        "BatchNorm distance",
        "LogME",
        "H-score",
        "NCE",
        "LEEP",
        "source accuracy",
        "points a doubling",
    ):
        assert word in text
    assert len(re.findall(r"features of lite0 at", text)) >= 20
