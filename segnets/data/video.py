"""Videos as frames in the Cityscapes layout: what `predict` sees of a folder of mp4 files.

    FOLDER/NAME.mp4  ->  leftImg8bit_sequence/FOLDER-NAME/FOLDER-NAME_000000_FRAME_leftImg8bit.png

A video is one sequence of a city of its own; FRAME counts its pictures from 0 in the order in which they
are shown. Frames are handed out as PNG, so everything behind is as with files, and are dated as the video:
one that grows waits whole, one that was replaced is looked at anew. PyAV decodes; it is an extra, since
nothing else here needs a codec.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from segnets.data.cityscapes import FRAMES, SEQUENCE
from segnets.data.decode import PngFault
from segnets.errors import ConfigError, NotFound
from segnets.store.base import Listed, Source

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")


def find_videos(source: Source) -> list[Listed]:
    """The videos of a source, at any depth."""
    return [listed for listed in source.list() if listed.key.lower().endswith(SUFFIXES)]


def frames_or_videos(source: Source) -> Source:
    """The source itself; if it holds no frame in the layout but videos, the frames of those.

    Raises ConfigError where there are videos and no PyAV.
    """
    names = [listed.key for listed in source.list(FRAMES)]  # both folders begin with this
    if any(key.partition("/")[0] in {FRAMES, SEQUENCE} for key in names):
        return source
    return VideoSource(source) if find_videos(source) else source


class VideoSource(Source):
    """The frames of all videos of another source; ConfigError where PyAV is not installed."""

    def __init__(self, source: Source) -> None:
        _av()
        self._source = source
        self.url = source.url
        self.patience = source.patience
        self._videos: dict[Listed, _Video] = {}
        self._where: dict[str, tuple[_Video, int]] = {}

    def list(self, prefix: str = "") -> list[Listed]:
        """All frames, sorted by key; a video that cannot be read has one, which says why."""
        found = {}
        for listed in find_videos(self._source):
            city = listed.key.rpartition(".")[0].replace("/", "-")
            folder = f"{SEQUENCE}/{city}/"
            if not (folder.startswith(prefix) or prefix.startswith(folder)):
                continue
            video = self._videos.get(listed) or _Video(self._source, listed)
            self._videos[listed] = video
            for number in range(max(1, len(video.times))):
                key = f"{folder}{city}_000000_{number:06d}_leftImg8bit.png"
                if key.startswith(prefix):
                    found[key] = Listed(key, listed.size, listed.modified)
                    self._where[key] = (video, number)
        return [found[key] for key in sorted(found)]

    def get(self, key: str) -> bytes:
        """A frame as PNG; NotFound, or PngFault where the video cannot be decoded."""
        if key not in self._where:
            raise NotFound("there is no such frame", key, "List them again.")
        video, number = self._where[key]
        return video.png(number)

    def holds(self, listed: Listed, data: bytes) -> bool:  # noqa: ARG002  # the size is the video's
        """Whether the video is still the one that was listed."""
        video, _ = self._where[listed.key]
        return (video.listed.size, video.listed.modified) == (listed.size, listed.modified)

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002
        """No frame is a file."""
        return None

    def now(self) -> float:
        """The clock by which the videos are dated."""
        return self._source.now()


class _Video:
    """One video, decoded forwards; a frame that lies behind is sought from the key frame before it."""

    def __init__(self, source: Source, listed: Listed) -> None:
        self.listed = listed
        self._url = f"{source.url}/{listed.key}"
        self._fault = ""
        self._kept: Any = None
        self.times: list[int] = []
        """When each picture is shown, in the order of showing, in the stream's unit of time."""
        self._frames: Iterator[Any] = iter(())
        self._next = 0
        try:
            self._file = self._open(source)
            self._container = _av().open(self._file)
            self._stream = self._container.streams.video[0]
            packets = [one for one in self._container.demux(self._stream) if one.size]
            if not packets or any(one.pts is None or one.dts is None for one in packets):
                raise ValueError("it does not say when its pictures are shown")
            self.times = sorted({one.pts for one in packets})
            self._first = min(one.dts for one in packets)
            self._keys = [(one.pts, one.dts) for one in packets if one.is_keyframe]
            self._keys.append((self.times[0], self._first))
            self._seek(self._first)
        except (OSError, ValueError, IndexError, NotFound) as error:  # PyAV's errors are these
            self._fault = str(error).split(":")[0] or type(error).__name__
            self.times = []

    def png(self, number: int) -> bytes:
        """Frame `number` as PNG."""
        if not self.times:
            raise PngFault("unreadable", f"the video cannot be read ({self._fault})", self._url)
        try:
            frame = self._decode(number)
        except (OSError, ValueError) as error:
            self._next = -1
            detail = f"frame {number} of the video cannot be decoded ({str(error).split(':')[0]})"
            raise PngFault("damaged", detail, self._url) from None
        self._next = number + 1
        if frame is None:
            raise PngFault("damaged", f"frame {number} is missing in the video", self._url)
        target = io.BytesIO()
        # level 1: these bytes live until they are decoded
        Image.fromarray(frame.to_ndarray(format="rgb24")).save(target, "PNG", compress_level=1)
        return target.getvalue()

    def _decode(self, number: int) -> Any:
        """The picture that is shown at this time, or None if there is none."""
        time = self.times[number]
        if number != self._next:
            self._seek(max(dts for shown, dts in self._keys if shown <= time))
        for at_start in (False, True):
            if at_start:  # some containers seek to a key frame that is shown later
                self._seek(self._first)
            frame = next(
                (one for one in self._frames if one.pts is not None and one.pts >= time), None
            )
            if frame is not None and frame.pts == time:
                return frame
        return None

    def _seek(self, dts: int) -> None:
        self._container.seek(dts, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)

    def _open(self, source: Source) -> str:
        """A file of this machine: the video itself, or a copy that goes with this object."""
        path = source.local_path(self.listed.key)
        if path is not None:
            return str(path)
        self._kept = tempfile.NamedTemporaryFile(suffix=Path(self.listed.key).suffix)  # noqa: SIM115
        self._kept.write(source.get(self.listed.key))
        self._kept.flush()
        return str(self._kept.name)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise ConfigError(
            "there are videos here, and PyAV, which decodes them, is not installed",
            "--data",
            "Install it with pip install av (the extra video), or give --data a folder of PNG frames.",
        ) from None
    return av
