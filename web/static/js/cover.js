// The cover of what plays: in the player, and on the system's own controls.

import { byId } from "./dom.js";

/** Forget the former cover: the placeholder is seen until there is another one. */
export function hideCover() {
  const picture = byId("cover");
  picture.hidden = true;
  picture.alt = "";
  picture.removeAttribute("src");
}

/** Fetch the cover at `address`, and show it if there is one and `isCurrent()` still says so. */
export async function showCover(address, { track, isCurrent }) {
  const picture = byId("cover");
  const fetched = new Image();
  fetched.src = address;
  try {
    await fetched.decode();
  } catch {
    return; // there is none: the placeholder stays
  }
  if (!isCurrent()) return;
  picture.src = fetched.src;
  picture.alt = `Cover of ${track.album || track.title}`;
  picture.hidden = false;
  const metadata = navigator.mediaSession?.metadata;
  if (metadata) metadata.artwork = [{ src: fetched.src, type: "image/jpeg" }];
}
