"""The `features` scenario keeps the contract of methods, with every head; splits serve as they should."""

import numpy as np
import pytest

from headstart.base.errors import DataError, UnknownName
from headstart.features.extractor import FeatureExtractor, item_digest
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.heads import HEADS
from headstart.methods.probe import TransferClassifier
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders
from headstart.testing.methods import check_method


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    table = scan(class_folders(tmp_path_factory.mktemp("method"), n_per_class=12))
    return table


def small(**options):
    return TransferClassifier(layer="stage5", input_size=48, engine="torch", **options)


def test_the_scenario_keeps_the_contract_of_methods(pictures):
    check_method(small, [str(path) for path in pictures.items()], list(pictures.labels[pictures.target()]))


@pytest.mark.parametrize("head", HEADS.names())
def test_every_head_serves(head, pictures):
    labels = np.array(pictures.labels[pictures.target()])
    method = small(head=head).fit(pictures.items(), labels)
    assert (method.predict(pictures.items()) == labels).mean() > 0.9
    assert np.allclose(method.predict_proba(pictures.items()[:3]).sum(1), 1, atol=1e-5)


def test_a_table_is_learned_from_train_chosen_on_validation_and_test_is_never_read(pictures):
    table = split_table(pictures, seed=1)
    hidden = table.rows("test")
    paths = tuple("/gone" if row in hidden else path for row, path in enumerate(table.paths))
    from dataclasses import replace

    method = small().fit_table(replace(table, paths=paths))
    assert method.selected_on_ == "validation" and method.problems_ == ()
    assert (method.n_train_, method.n_validation_) == (
        len(table.rows("train")),
        len(table.rows("validation")),
    )
    assert not set(method.seen_) & {table.digests[row] for row in hidden}


def test_refit_lets_validation_join_train(pictures):
    table = split_table(pictures, seed=1)
    plain, joined = small().fit_table(table), small(refit=True).fit_table(table)
    assert plain.chosen_ == joined.chosen_
    assert not np.array_equal(plain.predict_proba(table.items()), joined.predict_proba(table.items()))


def test_unreadable_images_of_a_table_are_left_out_and_kept_in_the_record(tmp_path):
    folder = class_folders(tmp_path, n_per_class=6)
    first = sorted(folder.rglob("*.*"))[0]
    first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    method = small(head="nearest_mean").fit_table(scan(folder))
    assert len(method.problems_) == 1 and method.n_train_ == 17


def test_options_are_refused_before_any_image_is_read():
    with pytest.raises(UnknownName, match="logistic"):
        TransferClassifier(head="logistics").fit(["/nowhere.jpg"], ["a"])


def test_the_extractor_takes_paths_arrays_and_pictures_alike(pictures):
    from PIL import Image

    path = pictures.item(0)
    with Image.open(path) as picture:
        picture.load()
    array = np.asarray(picture.convert("RGB"))
    extractor = FeatureExtractor(backbone=tiny_backbone(), engine="torch")
    rows = [extractor.fit_transform([item]) for item in (path, str(path), picture, array)]
    assert (
        np.allclose(rows[0], rows[1])
        and np.allclose(rows[2], rows[3])
        and np.allclose(rows[0], rows[2], atol=0.05)
    )
    assert extractor.transform(array[None]).shape == (1, 64) and extractor.n_features_out_ == 64
    both = FeatureExtractor(backbone=tiny_backbone(), layer=("stage1", "pool"), engine="torch").transform(
        [path]
    )
    assert both.shape == (1, 16 + 64)


def test_the_extractor_refuses_what_is_no_sequence_of_images(tmp_path):
    extractor = FeatureExtractor(backbone=tiny_backbone(), engine="torch")
    for wrong in ("a.jpg", np.zeros((3, 3)), [], 5):
        with pytest.raises(DataError):
            extractor.transform(wrong)
    with pytest.raises(DataError, match="no such image file"):
        extractor.transform(["/nowhere.jpg"])
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match="1 of 1 images cannot be read"):
        extractor.transform([tmp_path / "a.jpg"])
    assert item_digest(b"x") != item_digest(b"y")
