// The page, put together.

import { Chat } from "./chat.js";
import { showCircle, showEmptyCircle } from "./circle.js";
import { connect } from "./connection.js";
import { Player } from "./player.js";
import { PlaylistView } from "./playlist.js";
import { hideScan, showScan } from "./scan.js";
import { listenForKeys } from "./shortcuts.js";
import { showStatus } from "./status.js";

const socket = connect();
const tell = (event, data) => socket.emit(event, data);

const player = new Player({ tell, onTrack: (index) => queue.mark(index) });
const queue = new PlaylistView({ onJump: (index) => player.jump(index) });
const chat = new Chat({
  onSay: (text) => {
    player.asked();
    tell("say", { text });
  },
});
listenForKeys(player);
showEmptyCircle();

const commands = {
  next: () => player.next(),
  previous: () => player.previous(),
  pause: () => player.pause(),
  resume: () => player.resume(),
  stop: () => player.stop(),
  restart: () => player.restart(),
  volume_up: () => player.louder(10),
  volume_down: () => player.louder(-10),
  mute: () => player.mute(true),
  unmute: () => player.mute(false),
  retry: ({ track }) => player.retry(track),
  skip: ({ track }) => player.skip(track),
  finish: () => player.finish(),
  clear: () => {
    player.clear();
    queue.show({ line: "Empty.", tracks: [] });
  },
};

socket.on("welcome", ({ history }) => chat.begin(history));
socket.on("line", ({ kind, text }) => chat.show(kind, text));
socket.on("quiet", () => chat.waiting(false));
socket.on("status", showStatus);
socket.on("scan", showScan);
socket.on("disconnect", hideScan);
socket.on("circle", showCircle);
socket.on("playlist", (playlist) => {
  queue.show(playlist);
  player.load(playlist, { begin: playlist.begin });
});
socket.on("command", (command) => commands[command.do]?.(command));
socket.on("disconnect", () => showStatus({ state: "bad", text: "The app does not answer. Trying again…" }));
socket.on("connect_error", () => showStatus({ state: "bad", text: "The app cannot be reached. Is it running?" }));
