"""Videos as frames in the Cityscapes layout: what `predict` sees of a folder of mp4 files.

    FOLDER/NAME.mp4  ->  leftImg8bit_sequence/FOLDER-NAME/FOLDER-NAME_000000_FRAME_leftImg8bit.png

A video is one sequence of a city of its own; FRAME counts its pictures from 0 in the order in which they
are shown. Frames are handed out as PNG, so everything behind is as with files, and are dated as the video:
one that grows waits whole, one that was replaced is looked at anew. One video is open at a time: a folder
may have more of them than a process may have files, or /tmp room for copies. PyAV decodes; it is an extra,
since nothing else here needs a codec.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from segnets.data.cityscapes import FRAMES, SEQUENCE
from segnets.data.decode import PngFault
from segnets.errors import ConfigError, DatasetError, NotFound
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
    """The frames of all videos of another source, for one thread.

    Raises ConfigError where PyAV is not installed.
    """

    def __init__(self, source: Source) -> None:
        _av()
        self._source = source
        self.url = source.url
        self.patience = source.patience
        self._videos: dict[Listed, _Video] = {}
        self._where: dict[str, tuple[_Video, int]] = {}
        self._open: _Video | None = None

    def list(self, prefix: str = "") -> list[Listed]:
        """All frames, sorted by key; a video that cannot be read has one, which says why.

        Raises DatasetError where two videos have one name.
        """
        found = {}
        for city, listed in self._cities().items():
            folder = f"{SEQUENCE}/{city}/"
            if not (folder.startswith(prefix) or prefix.startswith(folder)):
                continue
            video = self._videos.get(listed)
            if video is None:
                self._use(None)
                video = self._videos[listed] = _Video(self._source, listed)
                self._use(video)
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
        self._use(video)
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

    def _cities(self) -> dict[str, Listed]:
        """The videos by the city they become."""
        cities: dict[str, Listed] = {}
        for listed in find_videos(self._source):
            city = listed.key.rpartition(".")[0].replace("/", "-")
            if city in cities:
                raise DatasetError(
                    f"two videos have one name, {city}",
                    f"{self.url}: {cities[city].key}, {listed.key}",
                    "Rename one of them.",
                )
            cities[city] = listed
        return cities

    def _use(self, video: "_Video | None") -> None:
        """Close the video that was read before, if it is another one."""
        if self._open is not None and self._open is not video:
            self._open.close()
        self._open = video


class _Video:
    """One video, decoded forwards; a frame that lies behind is sought from the key frame before it.

    It may be closed at any time: the next frame opens it again.
    """

    def __init__(self, source: Source, listed: Listed) -> None:
        self.listed = listed
        self._source = source
        self._url = f"{source.url}/{listed.key}"
        self._fault = ""
        self._copy: Any = None
        self._container: Any = None
        self._stream: Any = None
        self.times: list[int] = []
        """When each picture is shown, in the order of showing, in the stream's unit of time."""
        self._frames: Iterator[Any] = iter(())
        self._next = 0
        try:
            self._open()
            packets = self._packets()
            if not packets or any(one.pts is None or one.dts is None for one in packets):
                raise ValueError("it does not say when its pictures are shown")
            self.times = sorted({one.pts for one in packets})
            self._first = min(one.dts for one in packets)
            self._keys = [(one.pts, one.dts) for one in packets if one.is_keyframe]
            self._keys.append((self.times[0], self._first))
            self._seek(self._first)
        except _faults(NotFound) as error:
            self._fault = _reason(error)
            self.times = []
            self.close()

    def png(self, number: int) -> bytes:
        """Frame `number` as PNG; NotFound where another video has taken the place of this one."""
        if not self.times:
            raise PngFault("unreadable", f"the video cannot be read ({self._fault})", self._url)
        try:
            if self._container is None:
                if self.listed not in self._source.list(self.listed.key):
                    raise NotFound("the video was replaced", self._url, "List the frames again.")
                self._open()
            frame = self._decode(number)
            pixels = None if frame is None else frame.to_ndarray(format="rgb24")
        except _faults() as error:
            self._next = -1
            detail = f"frame {number} of the video cannot be decoded ({_reason(error)})"
            raise PngFault("damaged", detail, self._url) from None
        self._next = number + 1
        if pixels is None:
            raise PngFault("damaged", f"frame {number} is missing in the video", self._url)
        target = io.BytesIO()
        # level 1: these bytes live until they are decoded
        Image.fromarray(pixels).save(target, "PNG", compress_level=1)
        return target.getvalue()

    def close(self) -> None:
        """Close the file; a copy of it is deleted."""
        self._frames, self._next = iter(()), -1
        if self._container is not None:
            self._container.close()
        if self._copy is not None:
            self._copy.close()
        self._container = self._stream = self._copy = None

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

    def _open(self) -> None:
        """Open the file on this machine: the video itself, or a copy that lasts until it is closed."""
        self.close()
        path = self._source.local_path(self.listed.key)
        if path is None:
            self._copy = tempfile.NamedTemporaryFile(suffix=Path(self.listed.key).suffix)  # noqa: SIM115
            self._copy.write(self._source.get(self.listed.key))
            self._copy.flush()
            path = self._copy.name
        self._container = _av().open(str(path))
        self._stream = self._container.streams.video[0]

    def _packets(self) -> list[Any]:
        return [one for one in self._container.demux(self._stream) if one.size]


def _faults(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What PyAV raises for a video that is none or damaged; not all of its errors are an OSError."""
    return (OSError, ValueError, IndexError, _av().error.FFmpegError, *more)


def _reason(error: Exception) -> str:
    """The error in a few words."""
    said = getattr(error, "strerror", None) or str(error).split(":")[0]
    return said or type(error).__name__


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
