"""The bibliography: real entries, three styles, and a paper for everything that is shipped."""

import dataclasses
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.backbones.classic import CLASSIC
from headstart.base.errors import UnknownName
from headstart.explain.gradients import METHODS as MAPS
from headstart.features.cluster_methods import METHODS
from headstart.features.pool import POOLINGS
from headstart.measure import effects, intervals, metrics, multiple, paired, resampled, retrieval
from headstart.measure.cluster_number import RULES
from headstart.methods.heads_catalog import HEAD_NAMES
from headstart.methods.sharing_options import SHARING, WEIGHTING
from headstart.methods.training_options import SCENARIOS, TrainingOptions
from headstart.methods.tricks.registry import TRICKS
from headstart.methods.tune.plan import PRUNERS
from headstart.report import papers
from headstart.report.clusters import MEANINGS
from headstart.report.html import ADDRESS
from headstart.report.map_words import NAMES
from headstart.report.published import PUBLISHED
from headstart.report.sources import STYLES, Bibliography, library, official
from headstart.report.training_words import TECHNIQUES, in_use, techniques_of
from headstart.testing.records import tiny_record
from headstart.testing.trained_records import with_training

TABLES = (
    papers.HEADS, papers.SCENARIOS, papers.METRICS, papers.TESTS, papers.BACKBONES, papers.TRAINING,
    papers.RACES, papers.EXPLANATIONS, papers.DATASETS, papers.PRETRAINING, papers.TRICKS, papers.TUNERS,
    papers.SHARING, papers.WEIGHTING, papers.OUTPUTS, papers.SHIFTS, papers.TRANSFERABILITY, papers.POOLING,
    papers.SEARCH, papers.CLUSTERING, papers.CLUSTER_NUMBER, papers.CLUSTER_SCORES, papers.MAPS,
)  # fmt: skip
KEYS = sorted(library())
WITHOUT_ADDRESS: tuple[str, ...] = ()
"""Works of which neither a DOI, an arXiv number nor an official page was seen (old books, reports)."""
THIRD_PARTY = re.compile(
    r"rdrr\.io|scribd|huggingface|oracle\.com|paperexplained|docslib|docsci|coek\.info|jurnalin|sourceforge|r-project"
    r"|rdocumentation|github\.|tomesphere|vufind|studylib|fdocuments|wilddata|zhenzhi"
)
"""Pages on which entries were seen, and that no handed-in paper should name."""


def public(module):
    """Functions that a module itself defines for others."""
    return [
        name
        for name, thing in vars(module).items()
        if callable(thing)
        and getattr(thing, "__module__", "") == module.__name__
        and not isinstance(thing, type)
        and not name.startswith("_")
    ]


@pytest.mark.parametrize("key", KEYS)
def test_each_entry_is_whole_and_says_where_it_was_seen(key):
    source = library()[key]
    assert source.authors and all(family for family, _ in source.authors)
    assert source.title and source.venue and 1900 < source.year <= 2026
    assert re.match(r"Seen at https?://\S+", source.note)
    assert not re.search(r"[\\{}]", source.text)


@pytest.mark.parametrize("key", KEYS)
def test_each_entry_has_a_doi_a_number_of_arxiv_or_an_official_page(key):
    source = library()[key]
    numbered = bool(source.doi or source.arxiv)
    assert (numbered or bool(source.url)) == (key not in WITHOUT_ADDRESS)
    assert not (numbered and source.url)
    assert ("  url = " in source.raw) == bool(
        source.url
    )  # an address of another host would have been left out
    assert bool(ADDRESS.fullmatch(source.address)) == (key not in WITHOUT_ADDRESS)
    assert re.fullmatch(r"(10\.\d{4,}/\S+)?", source.doi) and re.fullmatch(r"(\d{4}\.\d{4,5})?", source.arxiv)


@pytest.mark.parametrize("style", STYLES)
def test_no_reference_names_the_page_of_a_third_party(style):
    cited = Bibliography(style)
    cited.cite(*KEYS)
    for each in cited.references():
        assert not THIRD_PARTY.search(f"{each.text} {each.address}"), each
    printed = [line for line in cited.bibtex().splitlines() if not line.startswith("  annote = ")]
    assert not any(THIRD_PARTY.search(line) or "note = " in line for line in printed)


def test_a_page_of_a_third_party_is_never_the_place_of_a_work():
    assert (
        official("https://rdrr.io/cran/sClust/man/x.html") == official("https://jmlr.org.evil.example/") == ""
    )
    assert official("http://jmlr.org/papers/v15/srivastava14a.html").startswith("http://jmlr.org")
    book = dataclasses.replace(library()["efron1993"], doi="")
    assert book.text.endswith("Chapman and Hall.") and book.address == ""


def test_signs_that_no_address_holds_are_encoded_in_it():
    source = library()["newcombe1998"]
    assert "17:8<873::AID-SIM779>3.0.CO;2-I" in source.text
    assert source.address.endswith("17:8%3C873::AID-SIM779%3E3.0.CO;2-I")


@pytest.mark.parametrize("name", [*HEAD_NAMES])
def test_every_head_has_a_paper(name):
    assert papers.HEADS.get(name)


@pytest.mark.parametrize("name", [*SCENARIOS, "retrieval"])
def test_every_scenario_has_a_paper(name):
    assert papers.SCENARIOS.get(name)


@pytest.mark.parametrize("name", [*TRICKS])
def test_every_trick_declares_its_paper(name):
    assert TRICKS[name].papers == papers.TRICKS[name] != ()


@pytest.mark.parametrize("name", [*METHODS, "quick_kmeans"])
def test_every_way_of_clustering_has_a_paper(name):
    assert papers.CLUSTERING.get(name)


@pytest.mark.parametrize("name", [*RULES])
def test_every_rule_for_the_number_of_clusters_has_a_paper(name):
    assert papers.CLUSTER_NUMBER.get(name)


@pytest.mark.parametrize("name", [*MAPS])
def test_every_map_of_what_a_network_sees_has_a_paper(name):
    assert papers.EXPLANATIONS.get(name)


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (MEANINGS, papers.CLUSTER_SCORES), (NAMES, papers.MAPS), (SHARING, papers.SHARING),
        (WEIGHTING, papers.WEIGHTING), (PRUNERS, papers.TUNERS), (POOLINGS, papers.POOLING),
    ],
)  # fmt: skip
def test_what_else_is_shipped_has_a_paper_or_a_reason(names, table):
    assert all((name in table) != (name in papers.WITHOUT_PAPER) for name in names)


NO_TECHNIQUE = {
    "trainable": "names the scenario's cut", "epochs": "a length", "batch_size": "a size", "steps_per_epoch": "a length",
    "optimiser": "", "momentum": "of plain SGD, in every textbook", "batchnorm": "which statistics are used",
    "keep": "which epoch is kept", "dtype": "a precision", "compile": "speed alone", "views": "a number",
    "fresh": "how views are drawn", "prefix_precision": "a precision", "checkpoint_minutes": "when it is saved",
    "decayed": "what weight decay leaves alone",
}  # fmt: skip
"""Options of training that are no technique with a paper, each with the reason."""


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainingOptions)])
def test_every_option_of_training_belongs_to_a_technique_or_has_a_reason(name):
    told = {option for each in TECHNIQUES.values() for option in each.options}
    assert name in told or NO_TECHNIQUE.get(name) is not None


@pytest.mark.parametrize("name", [*TECHNIQUES])
def test_every_technique_has_a_paper_and_words(name):
    words = TECHNIQUES[name].words
    assert papers.TRAINING.get(name)
    assert words.title and words.what and words.pro and words.con


def test_the_default_training_names_the_techniques_that_it_uses():
    used = in_use(dataclasses.asdict(TrainingOptions()), "finetune")
    assert {
        "head_first",
        "adamw",
        "one_cycle",
        "range_test",
        "label_smoothing",
        "manifold_mixup",
        "ema",
    } <= set(used)
    assert not {"mixup", "cutmix", "l2_sp", "gradual", "layer_decay", "balance", "early_stopping"} & set(used)
    assert "head_first" not in in_use(dataclasses.asdict(TrainingOptions()), "scratch")
    other = dataclasses.asdict(
        TrainingOptions(mixup=0.2, l2_sp=0.1, unfreeze="gradual", patience=3, balance="weights")
    )
    assert {"mixup", "l2_sp", "gradual", "early_stopping", "balance"} <= set(in_use(other, "full"))
    assert "manifold_mixup" not in in_use(other, "finetune")


def test_training_images_of_the_whole_side_are_no_technique(tmp_path):
    record = with_training(tiny_record(tmp_path, per_class=5, seeds=(0,)))

    def named(size):
        results = tuple(
            dataclasses.replace(
                each,
                cell=dataclasses.replace(
                    each.cell, training=json.dumps({**each.cell.options, "train_size": size})
                ),
            )
            for each in record.results
        )
        return techniques_of(dataclasses.replace(record, results=results))

    assert "fixres" not in named(224) and "fixres" in named(192)


@pytest.mark.parametrize("name", [*CLASSIC])
def test_every_classic_network_has_a_paper(name):
    assert papers.backbone_papers(f"classic:{name}", "")


@pytest.mark.parametrize(
    ("architecture", "key"),
    [
        ("tf_efficientnet_lite0", "tan2019"), ("resnet50", "he2015"), ("vit_base_patch16_224", "dosovitskiy2021"),
        ("swin_tiny_patch4_window7_224", "liu2021"), ("convnext_tiny", "liu2022"), ("vgg16", "simonyan2015"),
    ],
)  # fmt: skip
def test_architectures_are_known_by_how_their_names_begin(architecture, key):
    assert papers.backbone_papers(architecture, "ImageNet-1k") == (key, "russakovsky2015")


@pytest.mark.parametrize(
    "architecture", ["mobilevit_s", "resnetv2_50", "tf_efficientnetv2_s", "wide_resnet50_2"]
)
def test_a_network_of_another_paper_is_not_given_the_paper_of_a_like_name(architecture):
    assert papers.backbone_papers(architecture, "") == ()


@pytest.mark.parametrize("name", [*metrics.METRICS, *retrieval.METRICS])
def test_every_metric_has_a_paper_or_a_reason(name):
    assert (name in papers.METRICS) != (name in papers.WITHOUT_PAPER)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(set(public(effects)) - {"magnitude"}),
        *sorted(set(public(multiple)) - {"holm_factors", "checked_p"}),
        *sorted(set(public(paired)) - {"wilson_at", "correctness", "checked_level", "t_limit", "two_sided", "accuracy_p",
           "accuracy_p_of"}),
        *sorted(set(public(resampled)) - {"check_rope"}),
        "wilson", "percentile_interval", "over_seeds", "friedman", "nemenyi", "wilcoxon", "paired_bootstrap",
        "signed_rank", "smallest_paired", "learning_curve",
    ],
)  # fmt: skip
def test_every_test_has_a_paper_or_a_reason(name):
    assert (name in papers.TESTS) != (name in papers.WITHOUT_PAPER)
    assert name in {*papers.TESTS, *papers.WITHOUT_PAPER}
    assert hasattr(intervals, "wilson")


def test_every_paper_that_is_named_exists_and_every_paper_is_named():
    named = {key for table in TABLES for keys in table.values() for key in keys}
    named |= {key for rows in PUBLISHED.values() for row in rows for key in row.papers}
    assert named == set(library())


def test_the_file_is_sorted_by_key():
    assert list(library()) == sorted(library())


def test_the_three_styles_cite_and_list():
    numbered = Bibliography("numbered")
    assert numbered.cite("tan2019") == "[1]" and numbered.cite("holm1979", "tan2019") == "[1, 2]"
    assert [each.label for each in numbered.references()] == ["1", "2"]
    alphabetic = Bibliography("alphabetic")
    assert alphabetic.cite("tan2019", "holm1979", "fan2008") == "[TL19, Hol79, FCH+08]"
    assert [each.label for each in alphabetic.references()] == ["FCH+08", "Hol79", "TL19"]
    dated = Bibliography("author-date")
    assert dated.cite("tan2019", "fan2008") == "(Tan and Le, 2019; Fan et al., 2008)"
    assert Bibliography().cite() == ""


def test_an_entry_reads_as_a_reference():
    text = library()["fan2008"].text
    assert text.startswith("R.-E. Fan, K.-W. Chang, C.-J. Hsieh, X.-R. Wang and C.-J. Lin (2008). LIBLINEAR")
    assert "Journal of Machine Learning Research 9, 1871–1874." in text


@settings(deadline=None)
@given(st.lists(st.sampled_from(KEYS), min_size=1, max_size=12), st.sampled_from(STYLES))
def test_labels_are_unique_and_the_list_holds_what_was_cited(keys, style):
    cited = Bibliography(style)
    for key in keys:
        mark = cited.cite(key)
        assert cited.label(key) in mark
    labels = [each.label for each in cited.references()]
    assert len(labels) == len(set(labels)) == len(set(keys))
    assert {each.key for each in cited.references()} == set(keys)


def test_labels_of_the_whole_library_are_unique_in_every_style():
    for style in STYLES:
        cited = Bibliography(style)
        cited.cite(*KEYS)
        assert len({cited.label(key) for key in KEYS}) == len(KEYS)


def test_unknown_papers_and_styles_are_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="holm1979"):
        Bibliography().cite("holm1978")
    with pytest.raises(UnknownName, match="numbered"):
        Bibliography("numberd")


def test_the_bibtex_of_what_was_cited_reads_back_equal():
    import bibtexparser

    cited = Bibliography()
    cited.cite("holm1979", "tan2019")
    read = bibtexparser.parse_string(cited.bibtex())
    assert [entry.key for entry in read.entries] == ["holm1979", "tan2019"]
    assert not read.failed_blocks
    (tan,) = (entry for entry in read.entries if entry.key == "tan2019")
    assert tan["archiveprefix"] == "arXiv" and tan["eprint"] == "1905.11946" and "note" not in tan
