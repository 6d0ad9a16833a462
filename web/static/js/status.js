// Whether the broker is there, and who else.

import { byId } from "./dom.js";

/** Show `{state, text}`; the state is good, alone or bad. */
export function showStatus({ state, text }) {
  byId("status").dataset.state = state;
  if (byId("status-text").textContent !== text) byId("status-text").textContent = text;
}
