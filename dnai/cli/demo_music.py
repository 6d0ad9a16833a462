"""The demo's music: free songs from packages of Debian and Ubuntu, as three collections and the listener's own.

The packages hold music for games. Only whole pieces are taken, no sound effects; a song that comes
as stems is mixed; what a browser cannot play is converted. Every piece is a copy under our own
folder, tagged with what its package says of title, author and licence; a genre is written only
where the piece's own tags name one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from dnai.audio.mixing import mix
from dnai.audio.tagging import write_tags
from dnai.errors import ConfigurationError

_VERSION_FILE = ".version"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of music and the files it is made of; several are stems, to be mixed."""

    title: str
    files: tuple[str, ...]
    convert: bool = False

    @property
    def is_made(self) -> bool:
        """Whether its sound is written anew, not copied."""
        return self.convert or len(self.files) > 1


@dataclass(frozen=True, slots=True)
class Album:
    """Pieces of one author from one package, with what the package says about them.

    `folder` is where the package puts the pieces, relative to ``/usr/share``; `genre` is that of the
    pieces' own tags; `changes` says what we do to the sound, as the licences ask.
    """

    title: str
    artist: str
    authors: str
    licence: str
    package: str
    folder: str
    pieces: tuple[Piece, ...]
    genre: str = ""
    changes: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """What one member of the demo's circle owns."""

    name: str
    albums: tuple[Album, ...]

    @property
    def pieces(self) -> int:
        """How many pieces it has."""
        return sum(len(album.pieces) for album in self.albums)


def _stems(folder: str, title: str) -> Piece:
    return Piece(title, (f"{folder}/song.ogg", f"{folder}/guitar.ogg"))


_CC_BY_SA_3 = "CC BY-SA 3.0"
_MIXED = "each song mixed from its two stems"

MULDJORD = Album(
    title="Frets on Fire songs",
    artist="Muldjord",
    authors="El Senator of Muldjord (www.muldjord.com)",
    licence=_CC_BY_SA_3,
    package="fretsonfire-songs-muldjord",
    folder="games/fretsonfire/data/songs/muldjord",
    genre="Death Metal",
    changes=_MIXED,
    pieces=(
        _stems("armygeddon", "Armygeddon"),
        _stems("chaos_god", "Chaos God"),
        _stems("internal_degeneration", "Internal Degeneration"),
        _stems("mutilated_mime", "Mutilated Mime"),
    ),
)

SECTOID = Album(
    title="Sectoid Song Pack",
    artist="Sectoid",
    authors="Carlos Viola Iborra (Sectoid)",
    licence="MIT-style licence",
    package="fretsonfire-songs-sectoid",
    folder="games/fretsonfire/data/songs/sectoid",
    changes=_MIXED,
    pieces=(
        _stems("Escape from chaosland", "Escape from Chaosland"),
        _stems("Feelings", "Feelings"),
        _stems("Metal madness", "Metal Madness"),
        _stems("War of freedom", "War of Freedom"),
    ),
)

ASC = Album(
    title="Advanced Strategic Command",
    artist="Michael Kievernagel",
    authors="Michael Kievernagel",
    licence="GPL-2+",
    package="asc-music",
    folder="games/asc/music",
    pieces=(
        Piece("Frontiers", ("frontiers.mp3",)),
        Piece("Machine Wars", ("machine_wars.mp3",)),
        Piece("Time to Strike", ("time_to_strike.mp3",)),
    ),
)

SINGULARITY = Album(
    title="Endgame: Singularity",
    artist="Maxstack",
    authors="Max McCracken (Maxstack)",
    licence=_CC_BY_SA_3,
    package="singularity-music",
    folder="games/singularity/music",
    pieces=(
        Piece("Aberrations", ("Aberrations.ogg",)),
        Piece("Apex Aleph", ("win/Apex Aleph.ogg",)),
        Piece("Awakening", ("Awakening.ogg",)),
        Piece("By-Product", ("By-Product.ogg",)),
        Piece("Coherence", ("Coherence.ogg",)),
        Piece("Deprecation", ("Deprecation.ogg",)),
        Piece("Enemy Unknown", ("Enemy Unknown.ogg",)),
        Piece("Inevitable", ("Inevitable.ogg",)),
        Piece("Nebula", ("Nebula.ogg",)),
        Piece("Orbital Elevator", ("Orbital Elevator.ogg",)),
        Piece("Through Space", ("Through Space.ogg",)),
    ),
)

HYPERROGUE_PARROTTE = Album(
    title="HyperRogue",
    artist="Shawn Parrotte",
    authors="Shawn Parrotte (www.shawnparrotte.com)",
    licence=_CC_BY_SA_3,
    package="hyperrogue-music",
    folder="hyperrogue/music",
    pieces=(
        Piece("Crossroads", ("hr3-crossroads.ogg",)),
        Piece("Desert", ("hr3-desert.ogg",)),
        Piece("Graveyard", ("hr3-graveyard.ogg",)),
        Piece("Hall of Mirrors", ("hr3-mirror.ogg",)),
        Piece("Hell", ("hr3-hell.ogg",)),
        Piece("Icy Lands", ("hr3-icyland.ogg",)),
        Piece("Jungle", ("hr3-jungle.ogg",)),
        Piece("Laboratory", ("hr3-laboratory.ogg",)),
        Piece("Land of Eternal Motion", ("hr3-motion.ogg",)),
        Piece("Living Caves", ("hr3-caves.ogg",)),
        Piece("R'Lyeh", ("hr3-rlyeh.ogg",)),
    ),
)

HYPERROGUE_DOMINA = Album(
    title="HyperRogue",
    artist="Lincoln Domina",
    authors="Lincoln Domina",
    licence=_CC_BY_SA_3,
    package="hyperrogue-music",
    folder="hyperrogue/music",
    pieces=(
        Piece("Hunting Grounds", ("hr-domina-hunting.ogg",)),
        Piece("Lost Mountain", ("hr-domina-mountain.ogg",)),
    ),
)

HYPERROGUE_SAVINO = Album(
    title="HyperRogue",
    artist="Will Savino",
    authors="Will Savino (www.willsavino.net)",
    licence=_CC_BY_SA_3,
    package="hyperrogue-music",
    folder="hyperrogue/music",
    # Three of these have an Ogg header that FFmpeg, and with it the browsers, refuse.
    changes="converted to FLAC",
    pieces=(
        Piece("Caribbean", ("hr-savino-caribbean.ogg",), convert=True),
        Piece("Ivory Tower", ("hr-savino-ivory.ogg",), convert=True),
        Piece("Ocean", ("hr-savino-ocean.ogg",), convert=True),
        Piece("Palace", ("hr-savino-palace.ogg",), convert=True),
    ),
)

PROVIDERS = (
    Collection("Anna", (MULDJORD, SECTOID)),
    Collection("Ben", (SINGULARITY,)),
    Collection("Clara", (HYPERROGUE_PARROTTE, HYPERROGUE_DOMINA, ASC)),
)
"""The three providers: different authors, different music."""

LISTENER = Collection("Lena", (HYPERROGUE_SAVINO,))
"""What the listener owns, so that something like a song of hers can be asked for."""


@dataclass(frozen=True, slots=True)
class Copying:
    """How far the preparation is: piece `number` of `total`, called `title`, is done."""

    number: int
    total: int
    title: str


def prepare(
    collections: Sequence[Collection],
    music_dir: Path,
    *,
    share: Path = Path("/usr/share"),
    tell: Callable[[Copying], None] = lambda _: None,
) -> dict[str, Path]:
    """Return each collection's folder under `music_dir`, with all its pieces in it; what is there is kept.

    Raises
    ------
    ConfigurationError
        When a package's file is missing; the message names the package.
    AudioError
        When a piece cannot be mixed or tagged.
    """
    version = _version(collections)
    version_file = music_dir / _VERSION_FILE
    if not version_file.is_file() or version_file.read_text(encoding="ascii") != version:
        shutil.rmtree(music_dir, ignore_errors=True)
        music_dir.mkdir(parents=True)
        version_file.write_text(version, encoding="ascii")
    missing = [job for job in _jobs(collections, music_dir, share) if not job.target.is_file()]
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        for number, made in enumerate(as_completed([pool.submit(_make, job) for job in missing]), start=1):
            tell(Copying(number=number, total=len(missing), title=made.result()))
    finally:
        pool.shutdown(cancel_futures=True)
    return {collection.name: music_dir / collection.name for collection in collections}


@dataclass(frozen=True, slots=True)
class _Job:
    album: Album
    piece: Piece
    sources: tuple[Path, ...]
    target: Path


def _version(collections: Sequence[Collection]) -> str:
    """Changes when these tables do, so that an older demo's music is made anew."""
    return hashlib.sha256(repr(tuple(collections)).encode()).hexdigest()


def _jobs(collections: Sequence[Collection], music_dir: Path, share: Path) -> Iterator[_Job]:
    for collection in collections:
        for album in collection.albums:
            for piece in album.pieces:
                sources = tuple(share / album.folder / name for name in piece.files)
                suffix = ".flac" if piece.is_made else sources[0].suffix
                target = music_dir / collection.name / album.artist / f"{piece.title}{suffix}"
                yield _Job(album=album, piece=piece, sources=sources, target=target)


def _make(job: _Job) -> str:
    """Make the piece and return its title."""
    for source in job.sources:
        if not source.is_file():
            raise ConfigurationError(
                f"the demo's music {source} is missing; install the package it comes from: "
                f"sudo apt-get install --reinstall {job.album.package}"
            )
    job.target.parent.mkdir(parents=True, exist_ok=True)
    # Tagged under another name first: what is there under its own name is complete.
    unfinished = job.target.with_name(f"unfinished {job.target.name}")
    if job.piece.is_made:
        mix(job.sources, unfinished)
    else:
        shutil.copyfile(job.sources[0], unfinished)
    write_tags(unfinished, _tags(job.album, job.piece))
    unfinished.replace(job.target)
    return job.piece.title


def _tags(album: Album, piece: Piece) -> dict[str, str]:
    return {
        "title": piece.title,
        "artist": album.artist,
        "album": album.title,
        "genre": album.genre,
        "copyright": f"{album.authors}; {album.licence}" + (f"; {album.changes}" if album.changes else ""),
    }


def credits_of(collections: Sequence[Collection]) -> list[dict[str, str]]:
    """Return who made the music, under which licence, in the form that the page shows."""
    albums = [album for collection in collections for album in collection.albums]
    return [
        {
            "title": f"{album.artist}: {album.title} ({len(album.pieces)} pieces)",
            "authors": album.authors,
            "licence": album.licence,
            "source": f"package {album.package}" + (f"; {album.changes}" if album.changes else ""),
        }
        for album in albums
    ]
