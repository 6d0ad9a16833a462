// The tracks that are to come, as buttons.

import { byId, element } from "./dom.js";
import { clock, distance } from "./words.js";

export class PlaylistView {
  constructor({ onJump }) {
    this.list = byId("queue");
    this.line = byId("queue-line");
    this.onJump = onJump;
  }

  show(playlist) {
    this.line.textContent = playlist.line;
    this.list.replaceChildren(...playlist.tracks.map((track, index) => this.row(track, index)));
  }

  row(track, index) {
    const button = element(
      "button",
      { attributes: { type: "button" } },
      element("span", { className: "track-title", text: track.title }),
      element("span", { className: "track-artist", text: track.artist }),
      element("span", { className: "track-time", text: clock(track.duration_s) }),
      element("span", { className: "track-distance", text: `${distance(track.distance)} away` }),
    );
    button.addEventListener("click", () => this.onJump(index));
    return element("li", { className: "track" }, button);
  }

  mark(current) {
    for (const [index, row] of [...this.list.children].entries()) {
      if (index === current) row.firstElementChild.setAttribute("aria-current", "true");
      else row.firstElementChild.removeAttribute("aria-current");
    }
  }
}
