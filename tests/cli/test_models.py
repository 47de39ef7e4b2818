"""fit, evaluate, predict, export."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from headstart.testing.images import class_folders, split_folders

SMALL = ("--input-size", "48", "--engine", "torch")


def test_fit_says_what_it_learned_from_and_never_counts_test_images(run, photos, tmp_path, as_documented):
    ran = run("fit", photos, "--layer", "stage5", *SMALL, "--out", tmp_path / "model", "--json")
    assert ran.status == 0, ran.err
    facts = as_documented("fit", ran.out)
    assert (facts["n_train"], facts["n_validation"]) == (18, 6)
    assert facts["selected_on"] == "validation"
    assert facts["layer"] == ["stage5"]
    assert facts["data"] == "photos"


def test_fit_without_json_ends_with_the_path_of_the_model(run, photos, tmp_path):
    ran = run("fit", photos, "--layer", "stage5", "--head", "nearest_mean", *SMALL, "--out", tmp_path / "m")
    assert ran.out.splitlines()[0] == "nearest_mean on lite0 at stage5 (avg)"
    assert ran.out.splitlines()[-1] == f"model: {tmp_path / 'm'}"


def test_several_layers_are_joined(run, photos, tmp_path, as_documented, monkeypatch):
    kept = []
    monkeypatch.setattr("headstart.export.save.save_bundle", lambda fitted, *_, **__: kept.append(fitted))
    options = ("--layer", "stage4,stage5", "--head", "nearest_mean")
    ran = run("fit", photos, *options, *SMALL, "--out", tmp_path / "m", "--json")
    assert as_documented("fit", ran.out)["layer"] == ["stage4", "stage5"]
    assert kept[0].extractor_.n_features_out_ == 80 + 112


def test_fit_wants_data_or_a_study(run, tmp_path):
    ran = run("fit", "--out", tmp_path / "m")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "headstart: error: name either DATA or --from STUDY; see headstart fit --help\n"


def test_fit_lists_every_wrong_option_at_once(run, photos, tmp_path):
    ran = run(
        "fit", photos, "--head", "logistc", "--pooling", "mean", "--folds", "1", "--out", tmp_path / "m"
    )
    assert ran.status == 2
    assert "did you mean 'logistic'" in ran.err
    assert "'mean' is not one of" in ran.err
    assert "folds: 1 is below 2" in ran.err


def test_fit_refuses_to_overwrite_a_folder_that_is_no_model(run, photos, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    ran = run("fit", photos, "--layer", "stage5", "--head", "nearest_mean", *SMALL, "--out", tmp_path)
    assert ran.status == 2
    assert "is no bundle" in ran.err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_evaluating_on_the_training_folder_leaves_out_what_was_learned_from(
    run, tiny_model, photos, as_documented
):
    ran = run("evaluate", tiny_model, photos, "--json")
    found = as_documented("evaluate", ran.out)
    assert (found["split"], found["n"], found["n_seen_left_out"]) == ("all", 6, 24)
    assert "24 images that the model was fitted or chosen on are left out" in ran.err


def test_evaluating_on_all_images_by_name_counts_them_and_warns(run, tiny_model, photos, as_documented):
    ran = run("evaluate", tiny_model, photos, "--split", "all", "--json")
    assert as_documented("evaluate", ran.out)["n"] == 30
    assert "headstart: warning: photos: the model was fitted or chosen on 24 of these 30" in ran.err


def test_a_test_split_that_leaks_is_counted_with_a_warning(run, tiny_model, photos, tmp_path, as_documented):
    data = split_folders(tmp_path / "leaky", counts={"train": 2, "test": 3})
    seen = next(photos.glob("disc/*"))
    for image in (photos / "disc").iterdir():
        shutil.copy(image, data / "test" / "disc" / f"copy-{image.name}")
    ran = run("evaluate", tiny_model, data, "--json")
    found = as_documented("evaluate", ran.out)
    assert seen.exists()
    assert (found["split"], found["n"], found["n_seen_left_out"]) == ("test", 19, 0)
    assert "fitted or chosen on" in ran.err
    assert "(test)" in ran.err


def test_new_images_are_all_counted(run, tiny_model, new_photos, as_documented):
    ran = run("evaluate", tiny_model, new_photos, "--json")
    found = as_documented("evaluate", ran.out)
    assert found["n"] == 12
    assert ran.err == ""
    assert found["accuracy"]["value"] == pytest.approx(np.trace(found["confusion"]) / 12)
    assert found["intervals"]["accuracy"] == [found["accuracy"]["low"], found["accuracy"]["high"]]


def test_evaluate_prints_scores_and_classes(run, tiny_model, new_photos):
    ran = run("evaluate", tiny_model, new_photos)
    assert ran.out.startswith("12 images (all images), target label\n")
    assert "balanced accuracy" in ran.out
    assert any(line.startswith("stripes") for line in ran.out.splitlines())


def test_labels_that_the_model_does_not_know_are_listed(run, tiny_model, tmp_path):
    data = class_folders(tmp_path / "odd", classes=("disc", "hexagon"), n_per_class=2)
    ran = run("evaluate", tiny_model, data)
    assert ran.status == 2
    assert "does not know the labels 'hexagon' of 'label'; it knows disc, square, stripes" in ran.err


def test_a_split_that_the_data_lacks_is_refused(run, tiny_model, new_photos):
    ran = run("evaluate", tiny_model, new_photos, "--split", "test")
    assert ran.status == 2
    assert "no split of new is called 'test'; known: all" in ran.err


def test_images_without_a_label_are_left_out_aloud(run, tiny_model, new_photos, tmp_path, as_documented):
    data = shutil.copytree(new_photos, tmp_path / "new")
    kinds, numbers = ("disc", "square", "stripes"), range(4)
    rows = [f"{name}/{n:03d}.jpg,{name if n else ''},day" for name in kinds for n in numbers]
    (data / "truth.csv").write_text("path,label,light\n" + "\n".join(rows))
    ran = run("evaluate", tiny_model, data, "--label-columns", "label,light", "--json")
    found = as_documented("evaluate", ran.out)
    assert (found["n"], found["n_unlabelled"]) == (9, 3)
    assert "3 images have no label in 'label' and are left out" in ran.err


def test_predict_gives_the_most_probable_classes(run, tiny_model, new_photos, as_documented):
    image = new_photos / "square" / "001.jpg"
    ran = run("predict", tiny_model, image, "--top", "2", "--json")
    (entry,) = as_documented("predict", ran.out)
    first, second = entry["outputs"]["label"]
    assert entry["path"] == str(image)
    assert first["label"] == "square"
    assert first["probability"] > second["probability"]
    shown = run("predict", tiny_model, image, "--top", "1").out
    assert shown == f"{image}: square {100 * first['probability']:.1f} %\n"


def test_predict_takes_folders_and_passes_other_files_over_aloud(run, tiny_model, new_photos, tmp_path):
    data = shutil.copytree(new_photos, tmp_path / "inbox")
    (data / "notes.txt").write_text("call them back")
    ran = run("predict", tiny_model, data, "--json")
    assert [entry["path"] for entry in json.loads(ran.out)] == sorted(map(str, data.glob("*/*.jpg")))
    assert "images: 12; other files, passed over: 1" in ran.err


def test_an_unreadable_image_is_named_and_the_others_are_served(
    run, tiny_model, new_photos, tmp_path, as_documented
):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not much of a picture")
    good = new_photos / "disc" / "000.jpg"
    ran = run("predict", tiny_model, broken, good, tmp_path / "absent.jpg", "--json")
    entries = as_documented("predict", ran.out)
    assert ran.status == 0
    assert ["error" in entry for entry in entries] == [True, False, True]
    shown = run("predict", tiny_model, broken, good)
    assert "broken.jpg" in shown.err
    assert "broken.jpg" not in shown.out


def test_predict_fails_where_nothing_could_be_read(run, tiny_model, tmp_path, as_documented):
    ran = run("predict", tiny_model, tmp_path / "absent.jpg", "--json")
    assert ran.status == 2
    assert as_documented("predict", ran.out)[0]["error"]


def test_names_that_are_no_unicode_do_not_break_printing(run, tiny_model, tmp_path, as_documented):
    odd = tmp_path / b"p\xff\x1b[2J\n.png".decode("utf-8", "surrogateescape")
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(odd)
    shown = run("predict", tiny_model, odd)
    assert shown.status == 0
    assert r"p\xff\x1b[2J\n.png: " in shown.out
    entries = as_documented("predict", run("predict", tiny_model, odd, "--json").out)
    assert entries[0]["path"].endswith("p\\xff\x1b[2J\n.png")


def test_export_writes_one_graph_that_says_the_same(run, tiny_model, new_photos, tmp_path, as_documented):
    import onnxruntime

    from headstart.export.bundle import load_bundle
    from headstart.images.prepare import prepare

    ran = run("export", tiny_model, "--onnx", tmp_path / "model.onnx", "--json")
    facts = as_documented("export", ran.out)
    bundle = load_bundle(tiny_model)
    images = sorted(new_photos.glob("*/*.jpg"))
    pixels = np.stack([prepare(image, bundle.preprocessing) for image in images])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: pixels})
    assert np.abs(found - bundle.predict_proba(images).probabilities).max() < 1e-4
    assert facts["classes"] == list(bundle.classes)


def test_a_folder_that_is_no_model_is_refused_in_one_line(run, photos):
    ran = run("evaluate", photos, photos)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "is no model" in ran.err


def test_evaluate_and_predict_take_a_size(run, as_documented, tiny_model, new_photos):
    found = as_documented("evaluate", run("evaluate", tiny_model, new_photos, "--size", "80", "--json").out)
    assert (found["height"], found["width"]) == (80, 80)
    one, other = (
        json.loads(run("predict", tiny_model, new_photos, "--json", *more).out)
        for more in ((), ("--size", "80x112"))
    )
    assert one != other and [each["path"] for each in one] == [each["path"] for each in other]
    ran = run("predict", tiny_model, new_photos, "--size", "81")
    assert ran.status == 2 and "80x80 would do" in ran.err and ran.err.count("\n") == 1
