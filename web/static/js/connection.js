// The line to the app. A tab keeps its conversation when the line breaks, and when it is reloaded.

const TAB_KEY = "dnai-tab";

function token() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Connect to the app that served this page. */
export function connect() {
  const load = token();
  let tab = sessionStorage.getItem(TAB_KEY) ?? token();
  const socket = window.io({
    transports: ["websocket"],
    reconnectionDelay: 300,
    reconnectionDelayMax: 3000,
    auth: (give) => give({ tab, load }),
  });
  // A duplicated tab brings its twin's id along; the app then gives it one of its own.
  socket.on("welcome", (welcome) => {
    tab = welcome.tab;
    sessionStorage.setItem(TAB_KEY, tab);
  });
  return socket;
}
