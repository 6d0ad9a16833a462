// Keys for the player. They keep out of the way of typing, of buttons and sliders, and of the browser's own keys.

import { byId } from "./dom.js";

const OWN_KEYS = "input, textarea, select, [contenteditable]";

function actions(player) {
  return {
    n: () => player.next(),
    p: () => player.previous(),
    "/": () => byId("say").focus(),
    ArrowLeft: () => player.seekBy(-1),
    ArrowRight: () => player.seekBy(1),
    "+": () => player.louder(5),
    "-": () => player.louder(-5),
  };
}

export function listenForKeys(player) {
  const byKey = actions(player);
  byId("say").addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.target.blur();
  });
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest(OWN_KEYS)) return;
    // Arrow keys scroll the conversation when it is focused, and space presses a focused button.
    if (event.key.startsWith("Arrow") && target.closest("#log")) return;
    const isButton = Boolean(target.closest("button, summary, a"));
    const action = event.key === " " && !isButton ? () => player.toggle() : byKey[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
