"""`headstart audit` and `headstart split`: their words, their JSON, their new tables, and bad input."""

import csv
import json
import shutil

import pytest
from PIL import Image

from headstart.report.audit_page import audit_document
from headstart.testing.scenes import write_scenes

pytest.importorskip("cleanlab")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Sixty scenes with splits; a copy of a train image in test, one under another label, a broken file."""
    folder = write_scenes(tmp_path_factory.mktemp("scenes") / "data", 60)
    shutil.copy(folder / "train/a/000.jpg", folder / "test/a/copy.jpg")
    Image.open(folder / "train/b/001.jpg").save(folder / "train/a/other.jpg", quality=60)
    whole = (folder / "train/a/004.jpg").read_bytes()
    (folder / "train/a/broken.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def tiny(run, tiny_name):
    """`tiny("audit", folder, ...)`: with a small network of random weights, by which copies are near all the same."""
    return lambda verb, *given: run(verb, *given, "--backbone", tiny_name)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_planted_is_told_and_mended_in_a_new_table(tiny, as_documented, scenes, tmp_path):
    before = sorted((path, path.stat().st_mtime_ns) for path in scenes.rglob("*"))
    page, table = tmp_path / "audit.html", tmp_path / "mended.csv"
    ran = tiny("audit", scenes, "--html", page, "--mend", table, "--json")
    assert ran.status == 0, ran.err
    told = as_documented("audit", ran.out)
    kinds = {each["kind"]: each for each in told["findings"]}
    assert {"leakage", "conflict", "unreadable"} <= set(kinds)
    assert kinds["leakage"]["groups"] == [["test/a/copy.jpg", "train/a/000.jpg"]]
    assert (
        kinds["conflict"]["severity"] == "high"
        and kinds["unreadable"]["details"][0][0] == "train/a/broken.jpg"
    )
    paths = {row["path"] for row in rows_of(table)}
    assert "test/a/copy.jpg" in paths
    assert not {"train/a/000.jpg", "train/b/001.jpg", "train/a/other.jpg", "train/a/broken.jpg"} & paths
    assert sorted((path, path.stat().st_mtime_ns) for path in scenes.rglob("*")) == before
    assert "copies in another split" in page.read_text("utf-8")


def test_a_mended_table_has_nothing_left_to_mend(tiny, scenes, tmp_path):
    table = tmp_path / "mended.csv"
    ran = tiny("audit", scenes, "--only", "files,duplicates", "--mend", table)
    assert ran.status == 0 and "1 image of validation and test" in ran.out
    columns = (
        "--image-root",
        scenes,
        "--path-column",
        "path",
        "--label-columns",
        "label",
        "--split-column",
        "split",
    )
    again = json.loads(tiny("audit", table, *columns, "--only", "files,duplicates", "--json").out)
    assert again["findings"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "leaks"), "only: 'leaks' is not one of files"),
        (("--mend", "mended.txt"), "ends with .csv"),
        (("--target", "labl"), "no label column is called 'labl'"),
    ],
)
def test_mistakes_are_one_line(run, scenes, options, said):
    ran = run("audit", scenes, *options)
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1


def test_a_new_table_is_neither_written_over_a_file_nor_among_the_images(run, scenes, tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("mine")
    assert "there already" in run("audit", scenes, "--mend", there).err and there.read_text() == "mine"
    assert "among the images" in run("audit", scenes, "--mend", scenes / "new.csv").err
    assert "without image files" in run("audit", "digits", "--mend", tmp_path / "new.csv").err


def test_a_ground_truth_file_with_every_mistake_gives_findings(tiny, as_documented, scenes, tmp_path):
    images = sorted((scenes / "train/a").glob("0*.jpg"))[:8] + sorted((scenes / "train/b").glob("0*.jpg"))[:8]
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in images:
        shutil.copy(path, folder / path.name)
    names = [path.name for path in images]
    lines = ["path,label"]
    lines += [f"{name},{'Red Hat' if at % 2 else 'shoe'}" for at, name in enumerate(names[:12])]
    lines += [f"{names[12]},red hat ", f"{names[13]},shoe", f"{names[13]},Red Hat", "gone.jpg,shoe"]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    ran = tiny("audit", folder, "--only", "files,balance", "--json")
    assert ran.status == 0, ran.err
    kinds = {each["kind"]: each for each in as_documented("audit", ran.out)["findings"]}
    assert {"missing", "not_named", "two_labels", "spellings"} <= set(kinds)
    assert kinds["spellings"]["details"] == [["red hat", "Red Hat (1 to 6)"]]
    mended = tmp_path / "mended.csv"
    assert tiny("audit", folder, "--only", "balance", "--mend", mended).status == 0
    assert {row["label"] for row in rows_of(mended)} <= {"Red Hat", "shoe"}


def test_images_without_labels_are_audited_as_far_as_may_be(tiny, scenes, tmp_path):
    for path in sorted((scenes / "train/a").glob("0*.jpg"))[:6]:
        shutil.copy(path, tmp_path / path.name)
    told = json.loads(tiny("audit", tmp_path, "--json").out)
    skipped = {each["check"]: each["skipped"] for each in told["checked"]}
    assert (
        told["target"] is None
        and skipped["labels"] == "there are no labels"
        and skipped["duplicates"] is None
    )


def test_hostile_names_are_text_on_the_page_and_in_the_terminal(tiny, tmp_path):
    data = write_scenes(tmp_path / "data", 24, classes=("<script>alert(1)<", "b\x1b[2J"))
    first = sorted(path for path in data.rglob("*.jpg") if "<" in str(path))[0]
    shutil.copy(first, first.with_name('"><img src=x onerror=alert(2)>.jpg'))
    page = tmp_path / "audit.html"
    ran = tiny("audit", data, "--html", page)
    assert ran.status == 0 and "\x1b" not in ran.out
    text = page.read_text("utf-8")
    assert "<script>alert" not in text and "<img src=x" not in text and "&lt;img src=x" in text


def test_the_page_shows_every_finding_with_its_pictures(scenes, tiny_name):
    from headstart.audit.run import audit
    from headstart.images.scan import scan

    found = audit(scan(scenes), only=("files", "duplicates"), backbone=tiny_name)
    document = audit_document(found)
    galleries = [
        block for section in document.sections for block in section.blocks if block.kind == "gallery"
    ]
    assert len(galleries) == sum(bool(each.rows) for each in found.findings)
    assert all(
        picture.uri.startswith("data:image/jpeg")
        for g in galleries
        for _, _, ps in g.groups
        for picture in ps
    )


def test_a_split_keeps_copies_together_and_writes_a_table_that_can_be_read(
    tiny, as_documented, scenes, tmp_path
):
    out = tmp_path / "split.csv"
    ran = tiny("split", scenes, "--anew", "--ratios", "60/20/20", "--out", out, "--json")
    assert ran.status == 0, ran.err
    told = as_documented("split", ran.out)
    assert told["n_copy_clusters"] == 2 and told["inflation"]["n_seeds"] == 5
    at = {row["path"]: row["split"] for row in rows_of(out)}
    assert at["train/a/000.jpg"] == at["test/a/copy.jpg"] and at["train/b/001.jpg"] == at["train/a/other.jpg"]
    assert sum(told["parts"].values()) == len(at) == told["n_images"]
    assert "random split" in tiny("split", scenes, "--anew").out


def test_every_label_column_is_measured_on_a_random_split(tiny, as_documented, scenes, tmp_path):
    rows = sorted(path for path in scenes.rglob("*.jpg") if path.name != "broken.jpg")
    lines = ["path,kind,marks,size,visit"]
    for at, path in enumerate(rows):
        marks = ("left;right", "left", "right")[at // 3 % 3]
        lines.append(
            f"{path.relative_to(scenes)},{path.parent.name},{marks},{at // 3 * 1.37 % 11 + at / 100:.3f},v{at // 3}"
        )
    place = tmp_path / "truth.csv"
    place.write_text("\n".join(lines))
    columns = [each for name in ("kind", "marks", "size") for each in ("--label-columns", name)]
    given = ("split", place, "--image-root", scenes, *columns, "--group", "visit", "--no-duplicates")
    told = as_documented("split", tiny(*given, "--target", "size", "--json").out)
    assert [(each["column"], each["metric"]) for each in told["inflations"]] == [
        ("size", "r2"), ("kind", "accuracy"), ("marks", "map"),
    ]  # fmt: skip
    assert told["inflation"] == told["inflations"][0]
    said = tiny(*given).out
    assert "kind: a random split that parts them shows" in said and "marks: a random split" in said
    assert "size: a random split that parts them shows an R2 of" in said


def test_nested_folds_hold_out_within_the_rest(tiny, scenes, tmp_path):
    out = tmp_path / "folds.csv"
    assert (
        tiny("split", scenes, "--anew", "--folds", 3, "--inner", 2, "--no-measure", "--out", out).status == 0
    )
    for row in rows_of(out):
        assert row[f"inner_{row['fold']}"] == ""
        assert all(row[f"inner_{k}"] in ("0", "1") for k in range(3) if str(k) != row["fold"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--anew sets them aside"),
        (("--ratios", "70/30"), "e.g. 70/15/15"),
        (("--anew", "--inner", "3"), "goes with --folds"),
        (("--anew", "--folds", "1"), "folds: 1 is below 2"),
        (("--anew", "--group", "patient"), "without one table of labels"),
    ],
)
def test_mistakes_of_a_split_are_one_line(run, scenes, options, said):
    ran = run("split", scenes, *options)
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1
