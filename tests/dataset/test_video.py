"""Frames of a video: so many a second, near-identical ones dropped, small changes kept; what is no video is one line."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from headstart.base.errors import DataError
from headstart.base.events import collected_warnings
from headstart.dataset import video
from headstart.dataset.video import Video, frames_table, videos_in

av = pytest.importorskip("av")
SIDE = 96


def film(path, pictures, fps=10):
    """Write a video of these pictures, uint8 (n, h, w, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def scene(seed, n):
    """A still picture of large fields, shown n times."""
    fields = np.random.default_rng(seed).integers(30, 220, (6, 6, 3))
    return np.repeat(np.kron(fields, np.ones((SIDE // 6, SIDE // 6, 1)))[None].astype(np.uint8), n, axis=0)


@pytest.fixture
def clip(tmp_path):
    """Three scenes of two seconds; the first comes back at the end."""
    return film(tmp_path / "clips" / "clip.mp4", np.concatenate([scene(0, 20), scene(1, 20), scene(0, 20)]))


def frames(path, folder, **given):
    folder.mkdir()
    return frames_table([Video(path)], folder, **given)


def test_frames_come_at_the_rate_and_near_identical_ones_are_dropped(clip, tmp_path):
    table, (told,) = frames(clip, tmp_path / "a", rate=2)
    assert (told.n_looked, told.n_kept, told.whole) == (12, 2, True)
    assert [path.split("-")[-1] for path in table.paths] == ["000000000.jpg", "000002000.jpg"]
    assert set(table.groups) == {"000 clip.mp4"}
    every, (told,) = frames(clip, tmp_path / "b", rate=5, near=0)
    assert told.n_kept == len(every) == told.n_looked == 30


def test_a_small_thing_on_a_still_background_counts(tmp_path):
    still = scene(0, 30)
    still[10:20, 40:52, 40:52] = 255 - still[10:20, 40:52, 40:52]
    _, (told,) = frames(film(tmp_path / "x.mp4", still), tmp_path / "a", rate=10)
    assert told.n_kept == 2


def test_a_rate_above_the_video_takes_each_frame_once(clip, tmp_path):
    _, (told,) = frames(clip, tmp_path / "a", rate=1000, near=0)
    assert told.n_looked == 60


def test_folders_of_videos_give_the_class(tmp_path):
    for at, name in enumerate(("cat", "dog")):
        film(tmp_path / "in" / name / "v.mp4", scene(at, 5))
    (tmp_path / "a").mkdir()
    table, _ = frames_table(videos_in(tmp_path / "in"), tmp_path / "a")
    assert table.labels["label"] == ("cat", "dog") and len(set(table.groups)) == 2


def test_split_folders_of_videos_give_split_and_class(tmp_path):
    for at, name in enumerate(("train/cat", "train/dog/more", "val/cat", "test/dog")):
        film(tmp_path / "in" / name / "v.mp4", scene(at, 5))
    (tmp_path / "a").mkdir()
    videos = videos_in(tmp_path / "in")
    assert {(each.split, each.label) for each in videos} == {
        ("train", "cat"), ("train", "dog"), ("validation", "cat"), ("test", "dog"),
    }  # fmt: skip
    table, _ = frames_table(videos, tmp_path / "a")
    assert dict(zip(table.groups, table.splits, strict=True)) == {
        "000 v.mp4": "test", "001 v.mp4": "train", "002 v.mp4": "train", "003 v.mp4": "validation",
    }  # fmt: skip
    (tmp_path / "in" / "validation").mkdir()
    with pytest.raises(DataError, match="both val/ and validation/"):
        videos_in(tmp_path / "in")


def test_images_beside_videos_are_not_passed_over(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "clip.mp4").write_bytes(b"never opened")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    assert [each.label for each in videos_in(tmp_path)] == ["cat"]
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "a.png")
    with pytest.raises(
        DataError, match=r"holds videos and images \(cat/clip.mp4, cat/a.png\).*cannot be joined"
    ):
        videos_in(tmp_path)


def test_what_is_no_video_is_one_error(tmp_path):
    for at, content in enumerate(
        (b"", b"no video", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n")
    ):
        path = tmp_path / f"{at}.mp4"
        path.write_bytes(content)
        with pytest.raises(DataError, match="no video that can be read"):
            frames(path, tmp_path / f"out{at}")


def test_a_playlist_leads_to_no_other_file(clip, tmp_path):
    lists = {
        "a.ts": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
        "b.ts": f"ffconcat version 1.0\nfile '{clip}'\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match="no video that can be read"):
            frames(tmp_path / name, tmp_path / f"out-{name}")


def test_a_sound_file_is_no_video(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    with pytest.raises(DataError, match="no stream of pictures"):
        frames(path, tmp_path / "a")


def test_a_file_that_was_cut_keeps_what_came_before(tmp_path):
    whole = film(tmp_path / "w.ts", np.concatenate([scene(at, 10) for at in range(6)]))
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    _, (all_of_it,) = frames(whole, tmp_path / "a", rate=10)
    table, (told,) = frames(cut, tmp_path / "b", rate=10)
    assert 1 <= told.n_kept < all_of_it.n_kept == 6 and len(table) == told.n_kept


def test_a_decoder_that_gives_up_is_told_and_the_frames_before_are_kept(clip, tmp_path, monkeypatch):
    def gives_up(av, path, rate):
        yield 0.0, scene(0, 1)[0]
        yield 1.0, scene(1, 1)[0]
        raise av.InvalidDataError(1, "Invalid data found")

    monkeypatch.setattr(video, "_looked_at", gives_up)
    with collected_warnings() as warned:
        table, (told,) = frames(clip, tmp_path / "a")
    assert len(table) == 2 and not told.whole and "breaks off after 1.0 s (Invalid data found)" in warned[0]


def turned(path, a, b, c, d):
    """The same film with this matrix in its track header: a point (x, y) is shown at (ax + cy, bx + dy)."""
    held = bytearray(path.read_bytes())
    matrix = held.index(b"tkhd") + 44  # past version, times, numbers, layer and volume (ISO 14496-12, 8.3.2)
    held[matrix : matrix + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(held)
    return path


@pytest.mark.parametrize(
    ("matrix", "white", "shape"),
    [
        ((1, 0, 0, 1), (0, 0), (32, 64)),
        (
            (0, 1, -1, 0),
            (0, 1),
            (64, 32),
        ),  # a quarter clockwise, as of a phone held upright: top left to top right
        ((-1, 0, 0, -1), (1, 1), (32, 64)),
        ((0, -1, 1, 0), (1, 0), (64, 32)),
    ],
)
def test_phones_that_turn_the_picture_are_followed(tmp_path, matrix, white, shape):
    wide = np.zeros((3, 32, 64, 3), np.uint8)
    wide[:, :16, :32] = 255  # the quarter at the top left
    path = turned(film(tmp_path / "x.mp4", wide), *matrix)
    _, pixels = next(video._looked_at(av, path, 1.0))
    assert pixels.shape == (*shape, 3)
    quarters = pixels.mean(axis=2).reshape(2, shape[0] // 2, 2, shape[1] // 2).mean(axis=(1, 3))
    assert quarters[white] > 200 and np.delete(quarters.ravel(), 2 * white[0] + white[1]).max() < 40
    table, _ = frames(path, tmp_path / "a")
    assert Image.open(table.item(0)).size == shape[::-1]
