// How far the scan of one's own music is: a strip that is only there while there is something to tell.

import { byId } from "./dom.js";

// The numbers change all the time; who listens to the page hears only that a scan began, and what came of it.
const SPOKEN = { preparing: "Your music is being scanned.", running: "Your music is being scanned." };

function put(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function moveBar({ phase, done, total }) {
  const bar = byId("scan-bar");
  bar.hidden = phase === "ended";
  if (phase === "running" && total > 0) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

/** Show `{phase, line, facts, current, done, total}`; the phase is none, preparing, running or ended. */
export function showScan(scan) {
  byId("scan").hidden = scan.phase === "none";
  byId("scan").dataset.phase = scan.phase;
  put("scan-line", scan.line);
  put("scan-facts", scan.facts);
  put("scan-current", scan.current);
  moveBar(scan);
  put("scan-news", scan.phase === "ended" ? `${scan.line}. ${scan.facts}` : (SPOKEN[scan.phase] ?? ""));
}

/** Take the strip away, as while the app does not answer. */
export const hideScan = () => showScan({ phase: "none", line: "", facts: "", current: "", done: 0, total: 0 });
