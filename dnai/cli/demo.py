"""``dnai demo``: a whole circle on this machine, out of the same parts as any other circle.

A private RabbitMQ node, a member with a user, a catalogue and a worker for each provider, and the web
app of a listener. Everything but the music packages lies under one directory, and everything that is
started ends with this command.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from dnai.broker.members import DEFAULT_VHOST, definitions
from dnai.broker.private_node import PrivateNode
from dnai.broker.scatter import Scatter
from dnai.chatbot.dialogue import Dialogue
from dnai.cli import demo_music
from dnai.cli.demo_circle import Seat, listener_with, make_seat, seats_for_folders, write_settings
from dnai.cli.demo_requests import Answered, ask_everything, choose
from dnai.cli.demo_scans import scan_all
from dnai.cli.processes import Process, Processes
from dnai.config import ENV_PREFIX, PROJECT_DIR, load_settings
from dnai.errors import BrokerError, DnaiError, UsageError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection, read_collection
from dnai.library.models import load_models
from dnai.stream.client import PeerClient
from web.listener import Listener
from web.peers import address_rule

READY = "DN.ai is ready: "
_WORKER_READY = "worker ready"
_READY_TIMEOUT_S = 60.0
_PRESENCE_TIMEOUT_S = 20.0
_WATCH_S = 0.5
_PROGRESS_INTERVAL_S = 5.0


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--mine", type=click.Path(path_type=Path), metavar="DIR", help="Music that the listener owns.")
@click.option(
    "--demo-dir",
    type=click.Path(path_type=Path),
    default=PROJECT_DIR / ".demo",
    metavar="DIR",
    help="Where the demo keeps all of its state; .demo beside the program unless given.",
)
def demo_command(folders: Sequence[Path], mine: Path | None, demo_dir: Path) -> None:
    """Run a whole circle on this machine: a broker, three providers and the page.

    With FOLDERS each of them is a provider; nothing is ever written into them. Without, free music
    from packages of Debian and Ubuntu is used. Ctrl-C or SIGTERM ends all of it.
    """
    demo_dir = demo_dir.expanduser().absolute()
    members_dir = demo_dir / "members"
    # Before anything else is done: a folder that is not there.
    providers = seats_for_folders(folders, members_dir=members_dir)
    listener = listener_with(mine, members_dir=members_dir)
    with _stopping_on_signals() as stopping, ExitStack() as stack:
        stack.enter_context(_only_demo_in(demo_dir))
        credits_file = demo_dir / "credits.json"
        if not folders:
            providers, own = _free_music(demo_dir)
            listener = listener if mine else own
        shown = demo_music.credits_of((*demo_music.PROVIDERS, demo_music.LISTENER)) if not folders else []
        credits_file.write_text(json.dumps(shown, ensure_ascii=False, indent=1), encoding="utf-8")
        circle = _Circle(providers=tuple(providers), listener=listener, demo_dir=demo_dir, credits_file=credits_file)
        circle.start(stack)
        stopping.is_normal = True
        circle.watch()


@dataclass
class _Stopping:
    """Whether being told to stop is the normal end."""

    is_normal: bool = False


@contextmanager
def _stopping_on_signals() -> Iterator[_Stopping]:
    """End in good order on Ctrl-C, SIGTERM and a closed terminal; once: what comes later cannot interrupt the end."""
    stopping = _Stopping()
    heard = [signal.SIGINT, signal.SIGTERM]
    # Programs under nohup are started deaf to SIGHUP, and stay so; a shell that starts one in the
    # background makes it deaf to SIGINT, which must end it all the same.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, stop)
    try:
        yield stopping
    except KeyboardInterrupt:
        if not stopping.is_normal:
            raise
        click.echo("All of it has ended.", err=True)


@contextmanager
def _only_demo_in(demo_dir: Path) -> Iterator[None]:
    demo_dir.mkdir(parents=True, exist_ok=True)
    with (demo_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another demo is running in {demo_dir}: end it, or give --demo-dir DIR") from error
        yield


def _free_music(demo_dir: Path) -> tuple[list[Seat], Seat]:
    """The demo's own collections: the providers' seats, and the listener's."""
    collections = (*demo_music.PROVIDERS, demo_music.LISTENER)
    progress = _Progress()

    def tell(copying: demo_music.Copying) -> None:
        progress.show(f"preparing free music: {copying.number} of {copying.total} tracks")

    folders = demo_music.prepare(collections, demo_dir / "music", tell=tell)
    progress.end()
    seats = [make_seat(one.name, folders[one.name], members_dir=demo_dir / "members") for one in collections]
    return seats[:-1], seats[-1]


@dataclass
class _Circle:
    """The members of the demo and the processes that they are made of."""

    providers: tuple[Seat, ...]
    listener: Seat
    demo_dir: Path
    credits_file: Path

    def start(self, stack: ExitStack) -> None:
        """Start everything, and tell when it is ready and what to type."""
        _leave_own_circle(self.demo_dir)
        node_ready = self._start_broker(stack)
        # Ended before the broker, so that the workers can say goodbye.
        self._processes = stack.enter_context(Processes(self.demo_dir / "logs"))
        self._scan()
        _say("starting the broker, a private RabbitMQ node, and everybody else")
        self._node = node_ready.result()
        for seat in (*self.providers, self.listener):
            url = self._node.url(seat.user, seat.member.password, DEFAULT_VHOST)
            write_settings(seat, broker_url=url)
        workers = [self._start_worker(seat) for seat in self.providers]
        web = self._start_web()
        for worker in workers:
            _say("  " + worker.await_line(_WORKER_READY, timeout_s=_READY_TIMEOUT_S))
        ready = web.await_line(READY, timeout_s=_READY_TIMEOUT_S)
        _say("asking this circle, as its listener, what it has")
        proposed = self._find_requests()
        click.echo("\n".join([ready, *self._describe(proposed)]))
        sys.stdout.flush()

    def watch(self) -> None:
        """Wait; return never, but raise when one of the processes ends by itself."""
        while True:
            time.sleep(_WATCH_S)
            ended = self._processes.first_ended()
            if ended is not None:
                raise ended
            if not self._node.is_running:
                raise BrokerError(f"the private RabbitMQ node has ended; its logs are in {self._node.home / 'log'}")

    def _start_broker(self, stack: ExitStack) -> Future[PrivateNode]:
        """Start the node in a thread: it takes seconds, and a signal must not come between its steps."""
        members = [seat.member for seat in (*self.providers, self.listener)]
        node = PrivateNode(home=self.demo_dir / "broker", definitions=definitions(members, vhost=DEFAULT_VHOST))
        thread = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker"))

        def start() -> PrivateNode:
            node.start()
            return node

        starting = thread.submit(start)

        def stop() -> None:
            node.give_up()
            with suppress(DnaiError):  # why it did not start was said where it was waited for
                starting.result()
            node.stop()

        stack.callback(stop)
        return starting

    def _scan(self) -> None:
        progress = _Progress()
        seats = (*self.providers, self.listener)
        models = load_models(load_settings({"data_dir": self.listener.data_dir}).model_dirs)
        scan_all(seats, self._processes, models=models, show=progress.show)
        progress.end()
        for seat in seats:
            _say(f"  {seat.name}: {_contents(seat, models)}")

    def _start_worker(self, seat: Seat) -> Process:
        program = [sys.executable, "-P", str(PROJECT_DIR / "workers" / "worker.py"), str(seat.folder)]
        options = ["--listen", "127.0.0.1:0", "--data-dir", str(seat.data_dir)]
        return self._processes.start(f"worker-{seat.user}", program + options)

    def _start_web(self) -> Process:
        program = [sys.executable, "-P", "-m", "dnai.cli", "web", "--listen", "127.0.0.1:0"]
        options = ["--data-dir", str(self.listener.data_dir), "--credits", str(self.credits_file)]
        return self._processes.start("web", program + options)

    def _find_requests(self) -> tuple[Answered, ...]:
        settings = load_settings({"data_dir": self.listener.data_dir})
        models = load_models(settings.model_dirs)
        live = LiveCollection(settings.catalogue_path, models, use_tags=settings.use_tags)
        with ExitStack() as stack:
            stack.callback(live.close)
            dialogue = Dialogue(memory=settings.chat_memory_path, collection=lambda: live.current().tracks)
            stack.callback(dialogue.close)
            scatter = stack.enter_context(Scatter(settings.broker_url, deadline_s=settings.deadline_s))
            peers = stack.enter_context(PeerClient(allow=address_rule(settings)))
            self._await_presence(scatter)
            listener = Listener(collection=live, models=models, circle=scatter, peers=peers, clock=time.monotonic)
            return choose(ask_everything(listener, dialogue.conversation))

    def _await_presence(self, scatter: Scatter) -> None:
        expected = {seat.user: seat.name for seat in self.providers}
        end = time.monotonic() + _PRESENCE_TIMEOUT_S
        while missing := expected.keys() - {there.provider.user_id for there in scatter.who()}:
            if time.monotonic() > end:
                names = ", ".join(sorted(expected[user] for user in missing))
                raise BrokerError(
                    f"not in the circle after {_PRESENCE_TIMEOUT_S:.0f} s: {names}; see {self.demo_dir / 'logs'}"
                )
            time.sleep(0.1)

    def _describe(self, proposed: Sequence[Answered]) -> list[str]:
        lines = ["", "Type one of these; the circle has just been asked all of them:" if proposed else _NOTHING]
        for answer in proposed:
            others = f", nearest of {answer.offers}" if answer.offers > 1 else ""
            lines += [
                f"  try: {answer.text}",
                f"       ({answer.winner_name} answers with {answer.tracks} tracks{others})",
            ]
        if self.listener.folder is None:
            lines += ["", "To ask for something like a song of yours, add --mine DIR with music of your own."]
        return [*lines, "", f"Logs: {self.demo_dir / 'logs'}. Ctrl-C ends all of it."]


_NOTHING = "None of these collections has music of a genre that can be asked for."


def _leave_own_circle(demo_dir: Path) -> None:
    """Forget the settings of the user's own circle, for this process and those it starts."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(demo_dir / "numba"))
    os.environ["PYTHONUNBUFFERED"] = "1"
    # All these programs share one machine: one thread each for linear algebra is enough.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _contents(seat: Seat, models: Sequence[GenreModel]) -> str:
    """The tracks of a catalogue by genre, and how many files could not be used."""
    if seat.folder is None:
        return "no music of their own"
    settings = load_settings({"data_dir": seat.data_dir})
    with Catalogue(settings.catalogue_path) as catalogue:
        tracks = read_collection(catalogue, models, use_tags=settings.use_tags, under=seat.folder).tracks
        failures = catalogue.failures(under=seat.folder)
    genres = ", ".join(f"{genre.spoken} {count}" for genre, count in Counter(t.genre for t in tracks).most_common())
    skipped = f"; {len(failures)} files could not be used" if failures else ""
    return f"{len(tracks)} tracks" + (f" ({genres})" if genres else "") + skipped


def _say(text: str) -> None:
    click.echo(text, err=True)


class _Progress:
    """One line that is rewritten on a terminal; elsewhere a line every few seconds, and the last one."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._shown_at = float("-inf")
        self._text = ""
        self._shown = ""

    def show(self, text: str) -> None:
        """Show how far it is."""
        self._text = text
        now = time.monotonic()
        if self._on_terminal:
            click.echo(f"\r\033[K{text}", nl=False, err=True)
        elif now - self._shown_at >= _PROGRESS_INTERVAL_S and text != self._shown:
            self._write(now)

    def end(self) -> None:
        """Leave the last state standing."""
        if self._on_terminal and self._text:
            click.echo(err=True)
        elif self._text != self._shown:
            self._write(time.monotonic())

    def _write(self, now: float) -> None:
        click.echo(self._text, err=True)
        self._shown_at, self._shown = now, self._text
