// The conversation.

import { byId, element } from "./dom.js";

const KEPT_LINES = 200;
const WHO = { you: "you", bot: "dn.ai", note: "", trouble: "dn.ai" };

export class Chat {
  constructor({ onSay }) {
    this.log = byId("log");
    this.field = byId("say");
    this.onSay = onSay;
    this.begun = false;
    byId("say-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.say(this.field.value);
    });
    for (const chip of byId("chips").children) chip.addEventListener("click", () => this.say(chip.textContent));
  }

  say(text) {
    const message = text.trim();
    if (!message) return;
    this.field.value = "";
    this.show("you", message);
    this.waiting(true);
    this.onSay(message);
  }

  /** Add a line; `kind` is you, bot, note or trouble. */
  show(kind, text) {
    const who = element("span", { className: "line-who", text: WHO[kind] ?? "" });
    this.log.append(element("li", { className: `line ${kind}` }, who, element("span", { className: "line-text", text })));
    while (this.log.children.length > KEPT_LINES) this.log.firstElementChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Show what was said before this page was loaded; what was said since then stays below it. */
  begin(history) {
    if (this.begun) return;
    this.begun = true;
    const since = [...this.log.children];
    this.log.replaceChildren();
    for (const { kind, text } of history) this.show(kind, text);
    this.log.append(...since);
  }

  waiting(is) {
    this.log.classList.toggle("waiting", is);
    if (is) this.log.scrollTop = this.log.scrollHeight;
  }
}
