import io
import sys
import tempfile
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support.descriptors import open_below

from segnets.data.cityscapes import index_frames
from segnets.data.decode import PngFault
from segnets.data.video import VideoSource, frames_or_videos
from segnets.errors import ConfigError, DatasetError, NotFound
from segnets.store.base import Source
from segnets.store.open import open_source

SIZE = (48, 96)
SHADES = list(range(20, 240, 20))


def write_video(path, shades=SHADES):
    """A picture of one shade after the other, with frames that refer to earlier and later ones."""
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.gop_size, stream.max_b_frames = "yuv420p", 5, 2
        for shade in shades:
            pixels = np.full((*SIZE, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def shade_of(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == SIZE[::-1]
        return float(np.asarray(image).mean())


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "ulm" / "drive_7.mp4")
    return tmp_path


class Remote(Source):
    """A folder that has no local files, as object storage has none."""

    def local_path(self, key):  # noqa: ARG002
        return None


def jobs_of(source):
    return index_frames(source, frames=None, split=None, clip_frames=3, stride=1)


def test_a_video_is_one_sequence_whose_frames_come_in_the_order_of_showing(folder):
    source = frames_or_videos(open_source(str(folder)))
    jobs = jobs_of(source)
    assert [job.name for job in jobs] == [f"ulm-drive_7_000000_{n:06d}" for n in range(len(SHADES))]
    assert jobs[4].frame_keys == tuple(job.frame_keys[-1] for job in jobs[2:5])
    for job, shade in zip(jobs, SHADES, strict=True):
        assert shade_of(source.get(job.frame_keys[-1])) == pytest.approx(shade, abs=6)


def test_a_frame_has_the_same_bytes_wherever_reading_began(folder):
    source = VideoSource(open_source(str(folder)))
    keys = [listed.key for listed in source.list()]
    forwards = [source.get(key) for key in keys]
    backwards = [source.get(key) for key in reversed(keys)]
    assert backwards[::-1] == forwards


def test_a_video_that_is_cut_or_none_is_named_and_the_others_are_read(folder):
    whole = (folder / "ulm/drive_7.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index stands at its end
    (folder / "text.mp4").write_text("see the other disk")
    source = VideoSource(open_source(str(folder)))
    jobs = jobs_of(source)
    assert len(jobs) == len(SHADES) + 2
    for name in ("cut", "text"):
        (job,) = [job for job in jobs if job.city == name]
        with pytest.raises(PngFault, match=f"the video cannot be read .*{name}.mp4"):
            source.get(job.frame_keys[-1])


@pytest.mark.parametrize(
    ("atom", "damage", "reason"),
    [
        (b"mdhd", b"mdhd\x40", "cannot be read .Not yet implemented in FFmpeg"),
        (b"stts\0\0\0\0\0", b"stts\0\0\0\0\x40", "cannot be read .Cannot allocate memory"),
        (b"stsd", b"stsX", "frame 0 of the video cannot be decoded .Decoder not found"),
    ],
)
def test_what_pyav_says_of_a_damaged_video_is_a_reason_and_the_others_are_read(
    folder, atom, damage, reason
):
    whole = (folder / "ulm/drive_7.mp4").read_bytes()
    at = whole.index(atom)
    bad = folder / "bad.mp4"
    bad.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
    source = VideoSource(open_source(str(folder)))
    jobs = jobs_of(source)
    first = next(job for job in jobs if job.city == "bad")
    with pytest.raises(PngFault, match=f"{reason}.*: {bad}"):
        source.get(first.frame_keys[-1])
    for job, shade in zip(jobs[-len(SHADES) :], SHADES, strict=True):
        assert shade_of(source.get(job.frame_keys[-1])) == pytest.approx(shade, abs=6)


@pytest.mark.parametrize("one", ["cam/a.avi", "cam-a.mp4"])
def test_two_videos_of_one_name_are_refused_and_both_are_named(tmp_path, monkeypatch, one):
    for name in ("cam/a.mp4", one):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", ModuleType("av"))  # no video is opened
    with pytest.raises(DatasetError) as caught:
        jobs_of(VideoSource(open_source(str(tmp_path))))
    names = ", ".join(sorted(["cam/a.mp4", one]))
    assert str(caught.value) == (
        f"two videos have one name, cam-a: {tmp_path}: {names}. Rename one of them."
    )


@pytest.mark.parametrize("is_remote", [False, True])
def test_one_video_is_open_at_a_time_and_its_copy_goes_when_it_closes(
    folder, tmp_path_factory, monkeypatch, is_remote
):
    for number, shade in enumerate(SHADES[:4]):
        write_video(folder / f"cam{number}.mp4", [shade] * 3)
    copies = tmp_path_factory.mktemp("copies")
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    below = open_source(str(folder))
    source = VideoSource(Remote(below) if is_remote else below)
    opened = copies if is_remote else folder
    keys = [listed.key for listed in source.list() if "/cam" in listed.key]
    assert len(open_below(opened)) <= 2  # PyAV's descriptor, and ours of a copy
    for _ in range(2):
        for turn in range(3):
            for number, shade in enumerate(SHADES[:4]):
                data = source.get(keys[3 * number + turn])
                assert shade_of(data) == pytest.approx(shade, abs=6)
                assert len({*open_below(opened)}) == 1
                assert len(list(copies.iterdir())) == is_remote


def test_a_video_that_is_replaced_after_it_was_closed_is_not_taken_for_the_old_one(folder):
    write_video(folder / "cam.mp4")
    source = VideoSource(open_source(str(folder)))
    keys = [listed.key for listed in source.list()]
    first, last = keys[0], keys[-1]
    assert shade_of(source.get(first)) == pytest.approx(SHADES[0], abs=6)
    source.get(last)
    write_video(folder / "cam.mp4", SHADES[::-1])
    with pytest.raises(NotFound, match="the video was replaced"):
        source.get(first)
    source.list()
    assert shade_of(source.get(first)) == pytest.approx(SHADES[-1], abs=6)


def test_a_video_that_was_replaced_has_other_stamps_and_frames(folder):
    source = VideoSource(open_source(str(folder)))
    before = source.list()
    write_video(folder / "ulm/drive_7.mp4", SHADES[:3])
    after = source.list()
    assert len(after) == 3
    assert not set(after) & set(before)
    assert shade_of(source.get(after[2].key)) == pytest.approx(SHADES[2], abs=6)


def test_frames_in_the_layout_win_over_videos(folder):
    path = folder / "leftImg8bit/ulm/ulm_000000_000001_leftImg8bit.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", SIZE[::-1]).save(path)
    assert [job.name for job in jobs_of(frames_or_videos(open_source(str(folder))))] == [
        "ulm_000000_000001"
    ]


def test_without_pyav_a_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "drive.MP4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"PyAV.* is not installed.*pip install av"):
        frames_or_videos(open_source(str(tmp_path)))


def test_a_folder_without_any_video_needs_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DatasetError, match="the folder is empty"):
        jobs_of(frames_or_videos(open_source(str(tmp_path))))
