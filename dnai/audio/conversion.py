"""A sound file that browsers do not play → FLAC, which they do.

16 bit, the file's own rate up to 48 kHz, and at most two channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from dnai.audio.decode import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from dnai.audio.readers import open_container
from dnai.errors import ConversionError

MAX_RATE = 48_000
"""What has more samples a second is brought down to this, or to 44,100 where that divides it."""

_CD_RATE = 44_100
_FORMAT = "s16"
_ENCODER_OPTIONS = {"compression_level": "0"}
"""The listener waits: a file that is a little larger is ready sooner."""


def convert(source: BinaryIO, target: BinaryIO, *, max_bytes: int, is_wanted: Callable[[], bool]) -> None:
    """Write the sound of `source` to `target` as FLAC.

    Parts that are damaged are left out. Tags and pictures are not taken over.

    Parameters
    ----------
    source, target
        Open files; both are left open.
    max_bytes
        What becomes longer is given up.
    is_wanted
        Asked every few milliseconds; when it says no, the conversion ends.

    Raises
    ------
    ConversionError
        When `source` holds no sound that can be decoded, `target` becomes too long or cannot be written,
        or it is not wanted any more.
    """
    room = _Room(target, max_bytes)
    try:
        with (
            open_container(source) as heard,
            av.open(room, mode="w", format="flac") as written,
        ):
            encoder = _Encoder(written)
            for frame in _frames(heard, is_wanted):
                encoder.add(frame)
            encoder.finish()
    except (av.FFmpegError, ValueError, OSError) as error:
        if room.failure is not None:
            raise room.failure from error
        raise ConversionError(f"it cannot be converted: {getattr(error, 'strerror', None) or error}") from error


class _Room(io.RawIOBase):
    """A file that is written to; keeps what went wrong, of which FFmpeg passes on no more than that.

    It fails once, and takes everything from then on: what more is raised, PyAV writes to stderr.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        super().__init__()
        self.failure: ConversionError | None = None
        self._file = file
        self._max_bytes = max_bytes

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # FFmpeg gives bytes
        if self.failure is not None:
            return len(data)
        if self._file.tell() + len(data) > self._max_bytes:
            self.failure = ConversionError(f"it becomes longer than {self._max_bytes} bytes, more than its length says")
            raise self.failure
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = ConversionError(f"the converted file cannot be written: {error.strerror or error}")
            raise self.failure from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _frames(container: InputContainer, is_wanted: Callable[[], bool]) -> Iterator[av.AudioFrame]:
    """All frames that can be decoded; damaged ones between them are left out."""
    if not container.streams.audio:
        raise ConversionError("it holds no sound")
    for packet in _packets(container):
        if not is_wanted():
            raise ConversionError("it took too long")
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            continue
        yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))


def _packets(container: InputContainer) -> Iterator[av.Packet[AudioStream]]:
    """The packets up to the end, or to where FFmpeg finds no further one."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        yield packet


class _Encoder:
    """Frames of any form → one FLAC stream, in the rate and with the channels of the first."""

    def __init__(self, container: OutputContainer) -> None:
        self._container = container
        self._stream: AudioStream | None = None
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._samples = 0

    def add(self, frame: av.AudioFrame) -> None:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form:  # recordings of broadcasts may change it on the way
            self._drain()
            self._resampler = self._new_resampler(frame)
            self._form = form
        frame.pts = None
        self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        self._drain()
        if self._stream is None:
            raise ConversionError("it holds no sound that can be decoded")
        self._container.mux(self._stream.encode(None))

    def _drain(self) -> None:
        if self._resampler is not None:
            self._encode(self._resampler.resample(None))

    def _new_resampler(self, frame: av.AudioFrame) -> AudioResampler:
        if self._stream is None:
            if not MIN_SAMPLE_RATE <= frame.sample_rate <= MAX_SAMPLE_RATE:
                raise ConversionError(f"it says that it has {frame.sample_rate} samples a second")
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            rate = _played_rate(frame.sample_rate)
            self._stream = self._container.add_stream("flac", rate=rate, layout=layout, options=_ENCODER_OPTIONS)
            self._stream.format = _FORMAT
        return AudioResampler(format=_FORMAT, layout=self._stream.layout, rate=self._stream.rate)

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            if self._stream is None or frame is None:  # a resampler with nothing to do has nothing left either
                continue
            frame.pts = self._samples
            frame.time_base = Fraction(1, self._stream.rate)
            self._samples += frame.samples
            self._container.mux(self._stream.encode(frame))


def _played_rate(sr: int) -> int:
    if sr <= MAX_RATE:
        return sr
    return _CD_RATE if sr % _CD_RATE == 0 else MAX_RATE
