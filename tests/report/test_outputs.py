"""Every output: whole, equal each time, and honest about gaps."""

import csv
import dataclasses
import hashlib
import io
import re
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import DataError, MissingPackage, UnknownName
from headstart.report.archive import write_archive, zipped
from headstart.report.archive_words import lock_text
from headstart.report.outputs import build_outputs, check_ours, sealed, write_outputs
from headstart.report.plain_svg import plain_svg
from headstart.report.without_paths import without_paths
from headstart.study.record import load_record
from headstart.testing.pdf import pages_of
from headstart.testing.records import tiny_record
from headstart.testing.stored_studies import stored_study

pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')
pdfium = pytest.importorskip("pypdfium2")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    stored_study(folder, seeds=(0, 1), per_class=10)
    return folder / "study"


@pytest.fixture(scope="module")
def record(study):
    return load_record(study)


@pytest.fixture(scope="module")
def outputs(record):
    return build_outputs(record, ("all",))


def test_all_formats_are_written_under_their_names(outputs, tmp_path):
    written = write_outputs(outputs, tmp_path)
    names = {path.name for path in written}
    assert {"report.html", "paper.pdf", "paper.md", "tables.tex", "slides.html", "references.bib"} <= names
    assert write_outputs(outputs, tmp_path) == written  # once more: what is ours is replaced


def test_the_pdf_has_4_to_8_pages_of_a4_and_says_what_the_study_found(record, outputs):
    document = pdfium.PdfDocument(outputs.files["paper.pdf"])
    assert 4 <= len(document) <= 8
    assert [round(side) for side in document[0].get_size()] == [595, 842]
    document.close()
    text = " ".join(" ".join(pages_of(outputs.files["paper.pdf"])).split())
    assert "Best on shapes" in text and "To be written by the author" in text and "References" in text
    assert "22 of 24" in text or "planned" in text


def test_equal_records_give_equal_bytes(record, outputs):
    assert build_outputs(record, ("all",)).files == outputs.files


def test_links_of_the_markdown_lead_to_drawings_that_are_there(outputs):
    text = outputs.files["paper.md"].decode()
    linked = re.findall(r"!\[[^\]]*\]\((figures/[^)]+)\)", text)
    assert linked and set(linked) == {name for name in outputs.files if name.startswith("figures/")}


def test_drawings_for_paper_hold_no_variables(outputs):
    for name, content in outputs.files.items():
        if name.endswith(".svg"):
            assert b"var(" not in content and b"<svg" in content
    assert plain_svg("<svg>var(--x)</svg>") == "<svg>var(--x)</svg>"


def test_latex_environments_are_balanced_and_each_table_has_a_caption(outputs):
    text = outputs.files["tables.tex"].decode()
    assert text.count("\\begin{longtable}") == text.count("\\end{longtable}") == text.count("\\caption{") >= 6
    for body in re.findall(r"\\begin\{longtable\}.*?\\end\{longtable\}", text, re.DOTALL):
        rows = re.findall(r"(?<!\\)&", body.split("\\midrule")[0].split("\\toprule")[1])
        for line in body.split("\\endhead")[1].split("\\bottomrule")[0].strip().splitlines():
            assert len(re.findall(r"(?<!\\)&", line)) == len(rows)


def test_a_file_that_the_author_changed_is_not_replaced(outputs, tmp_path):
    write_outputs(outputs, tmp_path)
    paper = tmp_path / "paper.md"
    paper.write_text(paper.read_text().replace("To be written by the author", "My words"))
    before = paper.read_bytes()
    with pytest.raises(DataError, match="was changed since"):
        write_outputs(outputs, tmp_path)
    assert paper.read_bytes() == before


@pytest.mark.parametrize("name", ["report.html", "paper.pdf", "slides.html", "references.bib"])
def test_a_file_of_another_program_is_not_replaced(outputs, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match="not replaced"):
        write_outputs(outputs, tmp_path)
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@settings(deadline=None)  # a busy machine counts for nothing
@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r")),
    st.sampled_from([".md", ".tex", ".bib"]),
)
def test_a_seal_holds_for_what_was_written_and_for_nothing_else(tmp_path_factory, text, suffix):
    place = tmp_path_factory.getbasetemp() / f"sealed{suffix}"
    place.write_bytes(sealed(text, suffix))
    check_ours(place)
    place.write_bytes(b"a" + sealed(text, suffix))
    with pytest.raises(DataError):
        check_ours(place)


def test_an_unknown_format_is_refused(record):
    with pytest.raises(UnknownName, match="markdown"):
        build_outputs(record, ("markdwn",))


def test_pdf_without_typst_names_the_install_line(record, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(MissingPackage, match=r"headstart\[pdf\]"):
        build_outputs(record, ("pdf",))


@pytest.mark.parametrize("n_run", [0, 1, 7])
def test_every_format_of_a_study_that_stopped_says_what_is_missing(tmp_path, n_run):
    record = tiny_record(tmp_path, per_class=5, n_run=n_run)
    made = build_outputs(record, ("all",))
    wanted = f"{n_run} of 36 planned runs were made"
    for name in ("report.html", "paper.md", "slides.html"):
        assert wanted in made.files[name].decode().replace("\u00a0", " "), name
    assert wanted in " ".join(" ".join(pages_of(made.files["paper.pdf"])).split())


# the archive


@pytest.fixture(scope="module")
def archive(record, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "study.zip"
    write_archive(record, path)
    return path


def inner(path):
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_archive_holds_all_that_is_promised_and_its_sums_agree(archive):
    files = inner(archive)
    promised = {
        "README.md", "SHA256SUMS", "study.toml", "repeat.sh", "requirements.txt", "results.csv", "results.parquet",
        "methods.csv", "report/report.html", "report/paper.pdf", "report/paper.md", "report/slides.html",
        "report/tables.tex", "report/references.bib",
    }  # fmt: skip
    assert promised <= set(files)
    for line in files["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ", 1)
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert len(files["SHA256SUMS"].decode().splitlines()) == len(files) - 1


def test_equal_studies_give_equal_archives(record, archive, tmp_path):
    write_archive(record, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_csv_and_parquet_hold_every_run(record, archive):
    files = inner(archive)
    table = pq.read_table(io.BytesIO(files["results.parquet"]))
    read = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
    assert table.num_rows == len(read) == len(record.results)
    assert (
        table.column("run").to_pylist() == [row["run"] for row in read] == [r.cell.id for r in record.results]
    )
    scores = [r.scores["accuracy"].value if "accuracy" in r.scores else None for r in record.results]
    assert table.column("accuracy").to_pylist() == scores


def test_no_image_and_no_path_of_the_machine_is_in_it(study, archive):
    files = inner(archive)
    assert not [name for name in files if name.startswith("images/")]
    for name, content in files.items():
        assert str(study.parent).encode() not in content, name
        assert b"data:image/jpeg" not in content, name
    assert "were not asked for" in files["README.md"].decode()


def test_the_spec_in_it_is_toml_that_says_what_was_run(record, archive):
    import tomllib

    spec = tomllib.loads(inner(archive)["study.toml"].decode())
    assert (
        spec["data"] == [f"images/{name}" for name in record.tables] and spec["seeds"] == record.spec["seeds"]
    )


def test_the_list_of_packages_pins_what_the_study_recorded(record, archive):
    lines = inner(archive)["requirements.txt"].decode().splitlines()
    assert f"numpy=={record.versions['numpy']}" in lines
    own = [line for line in lines if "headstart" in line]  # a file of the archive: no index has it
    assert own == ["./packages/headstart-0.1.0-py3-none-any.whl"] and own[0][2:] in inner(archive)
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.!-]+", line) for line in lines if line not in own)
    assert len({line.split("==")[0] for line in lines if "==" in line}) == sum("==" in line for line in lines)


def test_a_build_of_another_index_is_told_and_not_asked_for():
    lines = lock_text({"python": "3.11.2", "headstart": "0.1.0", "torch": "2.9.0+cpu"}).splitlines()
    assert "torch==2.9.0" in lines and "# torch was the build cpu" in lines
    assert not [line for line in lines if not line.startswith("#") and ("+" in line or "headstart" in line)]


def test_images_go_in_when_they_are_asked_for(record, tmp_path):
    made = write_archive(record, tmp_path / "all.zip", images=True)
    files = inner(made.path)
    assert made.n_images == len(record.tables["shapes"]) == sum(name.startswith("images/") for name in files)
    assert b"data:image/jpeg" in files["report/report.html"]


def test_pixels_go_in_as_an_array_that_needs_no_pickle(record, tmp_path):
    pixels = np.zeros((len(record.tables["shapes"]), 4, 4), dtype=np.uint8)
    tables = {"shapes": dataclasses.replace(record.tables["shapes"], pixels=pixels)}
    files = inner(
        write_archive(dataclasses.replace(record, tables=tables), tmp_path / "p.zip", images=True).path
    )
    assert np.load(io.BytesIO(files["images/shapes/pixels.npy"]), allow_pickle=False).shape == pixels.shape


def test_another_file_is_not_replaced_by_an_archive(record, archive, tmp_path):
    (tmp_path / "mine.zip").write_bytes(
        zipped({"a": b"b"}).replace(b"Headstart archive", b"somebody elses...")
    )
    with pytest.raises(DataError, match="no archive of Headstart"):
        write_archive(record, tmp_path / "mine.zip")
    with pytest.raises(DataError, match="is a folder"):
        write_archive(record, tmp_path)


def test_an_archive_of_a_study_that_stopped_says_so(tmp_path):
    record = tiny_record(tmp_path, per_class=5, n_run=3)
    files = inner(write_archive(record, tmp_path / "a.zip").path)
    assert "3 of 36 planned runs were made" in files["README.md"].decode()


def test_paths_are_shortened_everywhere(record):
    clean = without_paths(
        dataclasses.replace(record, command="headstart study /home/me/photos --out /srv/x y")
    )
    assert clean.command == "headstart study photos --out x y"
    assert "/" not in clean.folder and all("/" not in table.root for table in clean.tables.values())


def test_an_archive_without_typst_says_that_the_pdf_is_left_out(record, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.report.archive.installed", lambda package: False)
    made = write_archive(record, tmp_path / "a.zip")
    assert "report/paper.pdf" not in made.files and any("paper.pdf" in line for line in made.left_out)
