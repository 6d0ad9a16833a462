"""A sound file → mono samples at its own rate, a block at a time.

What libsndfile reads faster, and what only it tells to the bit, is read with soundfile; ogg, opus, m4a, wma
and the rest with PyAV (FFmpeg). Where one gives up, the other may do better.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from dnai.errors import DecodeError

NativeBlock = tuple[int, NDArray[np.float32]]
"""Samples a second, and mono samples, shape ``(n,)``."""

Reader = Callable[[BinaryIO], Iterator[NativeBlock]]

_STDERR = 2
_BLOCK_SAMPLES = 1 << 17
_FRAMES_AT_ONCE = 32
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,aac,mp3,flac,ogg,wav,w64,aiff,asf,matroska,webm"
"""Of FFmpeg's readers only these: it also knows playlists, and would open every file or address in one."""

MOST_DAMAGED = 0.1
"""What is damaged to a larger share is no sound any more, but noise or another kind of file."""

_MOST_IN_VAIN_BYTES = 1 << 26
"""So much without any sound is longer than every index and every picture."""

_MOST_PLANES = 7
"""Of sounds with more channels PyAV shows more planes than there are, with whatever is in memory there."""

_MOST_AT_ONCE_BYTES = 1 << 20
_MOST_LEFT_BYTES = 1 << 16
_NOTHING_FOLLOWS = frozenset({"MP3", "FLAC"})
"""In these the sound goes to the end of the file, but for tags."""

_SOUNDFILE_FIRST = frozenset({".wav", ".mp3", ".flac", ".aif", ".aiff", ".aifc"})
_AV_FIRST = frozenset({".ogg", ".oga", ".opus"})


class ReaderError(DecodeError):
    """A file that one reader cannot read, or not to its end; another may do better."""


def readers_for(suffix: str) -> tuple[Reader, ...]:
    """Return who reads files of a name that ends so (lower case), the fastest first; `read_av` is always one."""
    if suffix in _SOUNDFILE_FIRST:
        return read_soundfile, read_av
    return (read_av, read_soundfile) if suffix in _AV_FIRST else (read_av,)


def read_soundfile(file: BinaryIO) -> Iterator[NativeBlock]:
    """Yield what libsndfile reads, and mixes down as librosa does.

    Raises
    ------
    ReaderError
        When libsndfile cannot read the file, or the file goes on where libsndfile ends.
    """
    with _soundfile_errors():
        with quiet_stderr():
            # By its number: libsndfile reads it itself, and does not ask Python for each piece.
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
        with sound:
            buffer = np.empty((_BLOCK_SAMPLES, sound.channels), dtype=np.float32)
            while True:
                with quiet_stderr():
                    block = sound.read(out=buffer)
                if not len(block):
                    _check_end(file, sound.format)
                    return
                yield int(sound.samplerate), _mix(block.T)


def read_av(file: BinaryIO) -> Iterator[NativeBlock]:
    """Yield what FFmpeg reads of the first stream of sound.

    Raises
    ------
    ReaderError
        When FFmpeg cannot read the file, or more than `MOST_DAMAGED` of it, or there is no sound in it.
    OSError
        When the file itself cannot be read.
    """
    impatient = _ImpatientFile(file)
    with _av_errors(), open_container(impatient) as container:
        if not container.streams.audio:
            raise ReaderError("holds no sound")
        for frame in _gather(_decode(_packets(container, impatient))):
            yield frame.sample_rate, _mix(_planes(frame))


def open_briefly(file: BinaryIO) -> av.container.InputContainer:
    """Return what FFmpeg finds at the beginning of a file, as `open_container`; not to be decoded.

    Raises
    ------
    ReaderError, av.FFmpegError, ValueError, OSError
        When FFmpeg cannot open it, or finds no sound for long.
    """
    return open_container(_ImpatientFile(file))


def open_container(file: BinaryIO | _ImpatientFile) -> av.container.InputContainer:
    """Return what FFmpeg finds in a file, to be used as a context manager.

    In the texts of its metadata, what is not UTF-8 is escaped as surrogates.

    Raises
    ------
    av.FFmpegError, ValueError, OSError
        When FFmpeg cannot open it.
    """
    return av.open(file, mode="r", options={"format_whitelist": _CONTAINERS}, metadata_errors="surrogateescape")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep from the process's stderr, and the progress bar in it, what libraries of C write there.

    libmpg123 tells every small flaw of an mp3, and LiteRT which delegate it has made.
    """
    try:
        kept = os.dup(_STDERR)
    except OSError:  # the process has none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _check_end(file: BinaryIO, kind: str) -> None:
    """Raise where much is left: libsndfile believes a header, as of the first of two mp3s that were joined."""
    here = file.tell()
    if kind in _NOTHING_FOLLOWS and file.seek(0, os.SEEK_END) - here > _MOST_LEFT_BYTES:
        raise ReaderError("not readable as sound: its header tells of less than there is")


class _ImpatientFile:
    """A file that is not read on and on where there is no sound: FFmpeg would keep gigabytes of zeros in memory.

    It fails once at the most, and is at its end then: what more is raised, PyAV writes to stderr.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.tell = file.tell
        self.name = getattr(file, "name", "")  # FFmpeg judges by it, too
        self.read_in_vain = 0
        self._file = file
        self._has_failed = False

    def read(self, size: int) -> bytes:
        """Return the next bytes, for FFmpeg, or tell it that it is enough."""
        if self._has_failed:
            return b""
        self._has_failed = True
        if self.read_in_vain > _MOST_IN_VAIN_BYTES:
            raise ReaderError(f"not readable as sound: there is none in {_MOST_IN_VAIN_BYTES >> 20} MB of it")
        found = self._file.read(min(size, _MOST_AT_ONCE_BYTES))
        self._has_failed = False
        self.read_in_vain += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, or return a negative number where damage has led FFmpeg to before the beginning."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            return -(error.errno or errno.EINVAL)


def _packets(container: av.container.InputContainer, file: _ImpatientFile) -> Iterator[av.Packet[av.AudioStream]]:
    for packet in container.demux(container.streams.audio[0]):
        if packet.size:
            file.read_in_vain = 0
        yield packet


def _decode(packets: Iterable[av.Packet[av.AudioStream]]) -> Iterator[av.AudioFrame]:
    """The frames in packets without those that are damaged, as players do, unless these are too many."""
    count = damaged = 0
    for packet in packets:
        count += packet.size > 0  # the last has nothing, and brings what is left
        try:
            frames = packet.decode()
        except av.DecoderNotFoundError:
            raise
        except av.FFmpegError:
            damaged += 1
            continue
        yield from frames
    if damaged > MOST_DAMAGED * count:
        share = f"{damaged} of its {count} parts are" if damaged < count else "it is"
        raise ReaderError(f"not readable as sound: {share} damaged")


def _gather(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """The same sound in long frames: codecs give short ones, each of which would cost as much in Python."""
    queue, form = av.AudioFifo(), None
    for number, frame in enumerate(frames, start=1):
        frame.pts = None
        # A sound may change its form on the way, as broadcasts do; PyAV crashes where one queue is given two of them.
        if form != (form := (frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)):
            yield from _rest_of(queue)
            queue = av.AudioFifo()
        queue.write(frame)
        if number % _FRAMES_AT_ONCE == 0:
            yield from _rest_of(queue)
    yield from _rest_of(queue)


def _rest_of(queue: av.AudioFifo) -> Iterator[av.AudioFrame]:
    frame = queue.read() if queue.samples else None
    if frame is not None:
        yield frame


def _planes(frame: av.AudioFrame) -> NDArray[np.float32]:
    """The samples of a frame, ``(channels, n)``."""
    channels = frame.layout.nb_channels
    wanted = "fltp" if channels <= _MOST_PLANES else "flt"
    if frame.format.name == wanted:
        found = np.asarray(frame.to_ndarray(), dtype=np.float32)
    else:
        parts = av.AudioResampler(format=wanted).resample(frame)
        found = np.concatenate([np.asarray(part.to_ndarray(), dtype=np.float32) for part in parts], axis=1)
    return found if wanted == "fltp" else found.reshape(-1, channels).T


def _mix(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of channels, ``(channels, n)``, as librosa's ``to_mono`` rounds it, but four times as fast."""
    mixed: NDArray[np.float32] = np.array(channels[0])
    # What is not finite is found and told later.
    with np.errstate(invalid="ignore", over="ignore"):
        for channel in channels[1:]:
            mixed += channel
        if len(channels) > 1:
            mixed /= np.float32(len(channels))
    return mixed


@contextmanager
def _soundfile_errors() -> Iterator[None]:
    try:
        yield
    except soundfile.SoundFileError as error:
        raise ReaderError(f"not readable as sound: {error}") from error


@contextmanager
def _av_errors() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise ReaderError(f"not readable as sound: {_reason(error)}") from error
    except OSError as error:
        # FFmpeg was misled to a place before the beginning of the file.
        if error.errno != errno.EINVAL:
            raise
        raise ReaderError(f"not readable as sound: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What FFmpeg found, in words that help more than its own."""
    if isinstance(error, av.MemoryError):
        return "it says that it is larger than the memory that a file may have"
    if isinstance(error, av.EOFError):
        return "it ends before there is any"
    if isinstance(error, av.DecoderNotFoundError | av.PatchWelcomeError):
        return "its kind of sound is not known"
    return "it is damaged or no sound"
