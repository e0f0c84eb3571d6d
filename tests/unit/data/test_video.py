import io
import sys

import numpy as np
import pytest
from PIL import Image

from segnets.data.cityscapes import index_frames
from segnets.data.decode import PngFault
from segnets.data.video import VideoSource, frames_or_videos
from segnets.errors import ConfigError, DatasetError
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
