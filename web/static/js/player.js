// The player: one <audio> element over a playlist.

import { hideCover, showCover } from "./cover.js";
import { byId } from "./dom.js";
import { clock, distance, spokenClock } from "./words.js";

const VOLUME_KEY = "dnai-volume";
const JUMP_S = 10;
const RESTART_AFTER_S = 4;
const PATIENCE_MS = 1000;
const PREPARING = "This track is being converted for your browser. It starts in a moment.";

export class Player {
  /** `tell(event, data)` goes to the app; `onTrack(index)` to whoever shows the playlist. */
  constructor({ tell, onTrack }) {
    this.tell = tell;
    this.onTrack = onTrack;
    this.playlist = null;
    this.index = -1;
    this.wanted = false;
    this.askedAt = null;
    this.patience = 0;
    this.covered = null;
    this.audio = byId("audio");
    this.box = byId("player");
    this.seekBar = byId("seek");
    this.volumeBar = byId("volume");
    this.listenToAudio();
    this.listenToButtons();
    this.setVolume(Number(localStorage.getItem(VOLUME_KEY) ?? 80));
  }

  get track() {
    return this.playlist?.tracks[this.index] ?? null;
  }

  listenToAudio() {
    const { audio } = this;
    audio.addEventListener("playing", () => {
      this.state("playing");
      this.measure();
      this.prepareNext();
    });
    audio.addEventListener("loadedmetadata", () => this.isPrepared());
    audio.addEventListener("pause", () => !audio.ended && this.state(this.track ? "paused" : "empty"));
    audio.addEventListener("waiting", () => this.wanted && this.state("loading"));
    audio.addEventListener("timeupdate", () => this.showTime());
    audio.addEventListener("durationchange", () => this.showTime());
    audio.addEventListener("ended", () => this.next());
    audio.addEventListener("error", () => this.broken());
  }

  listenToButtons() {
    byId("toggle").addEventListener("click", () => this.toggle());
    byId("next").addEventListener("click", () => this.next());
    byId("previous").addEventListener("click", () => this.previous());
    this.seekBar.addEventListener("input", () => this.seekTo(Number(this.seekBar.value)));
    this.volumeBar.addEventListener("input", () => this.setVolume(Number(this.volumeBar.value)));
    const session = navigator.mediaSession;
    for (const [action, handler] of Object.entries({
      play: () => this.resume(), pause: () => this.pause(), nexttrack: () => this.next(), previoustrack: () => this.previous(),
    })) session?.setActionHandler(action, handler);
  }

  /** A message went out: measure how long it takes until there is sound. */
  asked() {
    this.askedAt = performance.now();
  }

  /** Note when the sound has really begun to move: `timeupdate` comes up to 250 ms late. */
  measure() {
    if (this.askedAt === null || this.audio.paused) return;
    if (this.audio.currentTime === 0) requestAnimationFrame(() => this.measure());
    else {
      this.box.dataset.firstSoundMs = String(Math.round(performance.now() - this.askedAt));
      this.askedAt = null;
    }
  }

  /** Take over a playlist; `begin` says whether it starts to play. */
  load(playlist, { begin }) {
    this.playlist = playlist;
    const start = playlist.tracks.findIndex((track) => track.id === playlist.start);
    this.jump(Math.max(0, start), { begin });
  }

  jump(index, { begin = true } = {}) {
    if (!this.playlist || index < 0 || index >= this.playlist.tracks.length) return;
    this.index = index;
    this.wanted = begin;
    this.showTrack();
    this.audio.src = this.address("audio", this.track);
    this.awaitPreparation();
    this.covered = null;
    hideCover();
    this.onTrack(index);
    this.tell("now", { stream: this.playlist.stream, track: this.track.id });
    if (begin) this.resume();
    else this.state("paused");
  }

  /** Where the app has something of a track. */
  address(what, track) {
    return `/${what}/${encodeURIComponent(this.playlist.stream)}/${encodeURIComponent(track.id)}`;
  }

  /** A track that must be converted first may take some seconds: say so, if it does. */
  awaitPreparation() {
    this.endPatience();
    if (this.track.prepared) return;
    this.patience = setTimeout(() => byId("hint").hidden && this.hint(PREPARING), PATIENCE_MS);
  }

  endPatience() {
    clearTimeout(this.patience);
    if (byId("hint").textContent === PREPARING) this.hint("");
  }

  /** The track has been converted, if it had to be. */
  isPrepared() {
    this.endPatience();
    if (!this.track) return;
    this.track.prepared = true;
    this.fetchCover();
  }

  /** The first sound goes first: a cover is asked for when the track has begun to come. */
  fetchCover() {
    const { track } = this;
    if (track === this.covered) return;
    this.covered = track;
    showCover(this.address("cover", track), { track, isCurrent: () => this.track === track });
  }

  /** Have the next track converted while this one plays; should that fail, it is said when its turn comes. */
  prepareNext() {
    const next = this.playlist?.tracks[this.index + 1];
    if (!next || next.prepared || next.isAsked) return;
    next.isAsked = true;
    fetch(this.address("audio", next), { method: "HEAD" }).then((answer) => { next.prepared ||= answer.ok; }, () => {});
  }

  next() {
    if (!this.playlist) return;
    if (this.index + 1 < this.playlist.tracks.length) this.jump(this.index + 1);
    else {
      this.audio.pause();
      this.state("loading");
      this.tell("more", { stream: this.playlist.stream });
    }
  }

  previous() {
    if (this.audio.currentTime > RESTART_AFTER_S || this.index <= 0) this.seekTo(0);
    else this.jump(this.index - 1);
  }

  /** Fetch a track anew from where it broke. */
  retry(trackId) {
    if (this.track?.id !== trackId) return;
    const position = this.audio.currentTime;
    this.audio.addEventListener("loadedmetadata", () => this.seekTo(position), { once: true });
    this.audio.load();
    if (this.wanted) this.resume();
  }

  /** Leave a track that cannot be had. */
  skip(trackId) {
    if (this.track?.id === trackId) this.next();
  }

  async resume() {
    if (!this.track) return;
    this.wanted = true;
    this.state("loading");
    try {
      await this.audio.play();
      this.hint("");
    } catch (error) {
      // Somebody else took over meanwhile (AbortError), or the browser wants a key or a click first.
      if (error.name === "NotAllowedError") {
        this.state("paused");
        this.hint("Your browser wants you to start the sound yourself: press play.");
      }
    }
  }

  pause() {
    this.wanted = false;
    this.audio.pause();
  }

  toggle() {
    if (this.audio.paused) this.resume();
    else this.pause();
  }

  /** Stop for good: the playlist stays, at the beginning of its track. */
  stop() {
    this.pause();
    this.seekTo(0);
  }

  restart() {
    this.seekTo(0);
    this.resume();
  }

  mute(is) {
    this.audio.muted = is;
    this.box.dataset.muted = String(is);
  }

  /** Nothing more is coming. */
  finish() {
    this.wanted = false;
    this.audio.pause();
    this.state(this.track ? "paused" : "empty");
  }

  /** There is nothing left that could be played. */
  clear() {
    this.wanted = false;
    this.playlist = null;
    this.index = -1;
    this.audio.pause();
    this.endPatience();
    this.audio.removeAttribute("src");
    this.audio.load();
    hideCover();
    byId("now-title").textContent = "Nothing is playing";
    byId("now-artist").textContent = "";
    byId("now-whose").textContent = "";
    document.title = "DN.ai";
    this.state("empty");
    this.showTime();
  }

  seekTo(seconds) {
    if (!this.track) return;
    this.audio.currentTime = Math.max(0, Math.min(seconds, this.length() || seconds));
    this.showTime();
  }

  seekBy(direction) {
    this.seekTo(this.audio.currentTime + direction * JUMP_S);
  }

  setVolume(percent) {
    const bounded = Math.max(0, Math.min(100, Number.isFinite(percent) ? percent : 80));
    this.audio.volume = bounded / 100;
    this.mute(false);
    this.volumeBar.value = String(bounded);
    localStorage.setItem(VOLUME_KEY, String(bounded));
  }

  louder(by) {
    this.setVolume(Number(this.volumeBar.value) + by);
  }

  broken() {
    if (!this.track || !this.audio.error) return;
    this.endPatience();
    this.state("loading");
    this.tell("failed", { stream: this.playlist.stream, track: this.track.id, code: this.audio.error.code });
  }

  length() {
    return Number.isFinite(this.audio.duration) && this.audio.duration > 0 ? this.audio.duration : (this.track?.duration_s ?? 0);
  }

  state(name) {
    const before = this.box.dataset.state;
    this.box.dataset.state = name;
    byId("toggle").setAttribute("aria-label", name === "playing" ? "Pause" : "Play");
    for (const id of ["toggle", "next", "previous", "seek"]) byId(id).disabled = !this.track;
    if (name !== before && (name === "playing" || name === "paused")) this.tell("state", { playing: name === "playing" });
  }

  hint(text) {
    byId("hint").textContent = text;
    byId("hint").hidden = !text;
  }

  showTrack() {
    const { track, playlist } = this;
    byId("now-title").textContent = track.title;
    byId("now-artist").textContent = track.artist;
    byId("now-whose").textContent = playlist.own ? "your own collection" : `from ${playlist.whose} · distance ${distance(track.distance)}`;
    document.title = `${track.title} · DN.ai`;
    if ("MediaMetadata" in window) {
      navigator.mediaSession.metadata = new MediaMetadata({ title: track.title, artist: track.artist, album: track.album });
    }
    this.showTime();
  }

  showTime() {
    const total = this.length();
    const position = this.audio.currentTime;
    this.seekBar.max = String(total || 1);
    this.seekBar.value = String(position);
    this.seekBar.setAttribute("aria-valuetext", `${spokenClock(position)} of ${spokenClock(total)}`);
    byId("elapsed").textContent = clock(position);
    byId("duration").textContent = clock(total);
  }
}
