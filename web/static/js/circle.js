// Who offered what: a picture with the listener in the middle, and the same in words.

import { byId, element, shape } from "./dom.js";
import { distance, latency, many } from "./words.js";

const SIZE = 340;
const CENTRE = SIZE / 2;
const OUTER = 122;
const DRAWN = 10;
const LABEL_CHARS = 13;

const short = (name) => (name.length > LABEL_CHARS ? `${name.slice(0, LABEL_CHARS - 1)}…` : name);

function style(offer) {
  if (offer.fate === "playing") return "winner";
  if (offer.fate === "heard") return "heard";
  return offer.fate === "passed over" ? "out" : "";
}

/** How far from the middle an offer is drawn: in proportion to its weighed distance, from the middle itself. */
const radiusOf = (value, farthest) => (farthest > 0 ? (OUTER * value) / farthest : OUTER);

function rings(farthest) {
  return [1, 2, 3].flatMap((part) => {
    const radius = (OUTER * part) / 3;
    const ring = shape("circle", { className: "ring", attributes: { cx: CENTRE, cy: CENTRE, r: radius } });
    if (!farthest) return [ring];
    const attributes = { x: CENTRE, y: CENTRE + radius + 3, "text-anchor": "middle" };
    return [ring, shape("text", { className: "ring-label", text: distance((farthest * part) / 3), attributes })];
  });
}

function peer(offer, index, count, farthest) {
  const angle = -Math.PI / 2.6 + (2 * Math.PI * index) / count;
  const radius = radiusOf(offer.weighed, farthest);
  const x = CENTRE + radius * Math.cos(angle);
  const y = CENTRE + radius * Math.sin(angle);
  const kind = style(offer);
  const anchor = Math.abs(Math.cos(angle)) < 0.35 ? "middle" : Math.cos(angle) > 0 ? "start" : "end";
  const shift = anchor === "middle" ? 0 : anchor === "start" ? 12 : -12;
  const lift = anchor === "middle" ? (Math.sin(angle) > 0 ? 22 : -13) : 4;
  const nodes = [
    shape("line", { className: `spoke ${kind}`, attributes: { x1: CENTRE, y1: CENTRE, x2: x, y2: y } }),
    shape("circle", { className: `peer-dot ${kind}`, attributes: { cx: x, cy: y, r: 7 } }),
    shape("text", { className: `peer-label ${kind}`, text: short(offer.name), attributes: { x: x + shift, y: y + lift, "text-anchor": anchor } }),
  ];
  if (kind === "winner") nodes.splice(1, 0, shape("circle", { className: "peer-halo", attributes: { cx: x, cy: y, r: 15 } }));
  return nodes;
}

function picture(offers) {
  const drawn = offers.slice(0, DRAWN);
  const farthest = drawn.length ? Math.max(...drawn.map((offer) => offer.weighed)) : 0;
  const you = [
    shape("circle", { className: "you-dot", attributes: { cx: CENTRE, cy: CENTRE, r: 5 } }),
    shape("text", { className: "you-label", text: "you", attributes: { x: CENTRE, y: CENTRE + 22, "text-anchor": "middle" } }),
  ];
  const peers = drawn.flatMap((offer, index) => peer(offer, index, drawn.length, farthest));
  // The list beside it says the same in words, so the picture itself is silent.
  const attributes = { viewBox: `-24 34 ${SIZE + 48} ${SIZE - 68}`, "aria-hidden": "true", focusable: "false" };
  return shape("svg", { attributes }, ...rings(farthest), ...peers, ...you);
}

function fateOf(offer, index) {
  if (offer.fate === "playing") return index === 0 ? "the best, and playing" : "playing";
  if (offer.fate === "passed over") return `passed over: ${offer.reason}`;
  return offer.fate === "heard" ? "heard already" : "";
}

function offerRow(offer, index) {
  const fate = fateOf(offer, index);
  const tracks = offer.collection ? `${offer.tracks} of ${many(offer.collection, "track")}` : many(offer.tracks, "track");
  const facts = [tracks, `answered in ${latency(offer.latency_s)}`, fate].filter(Boolean).join(" · ");
  return element(
    "li",
    { className: `offer ${style(offer)}` },
    element("span", { className: "offer-name", text: offer.name }),
    element("span", { className: "offer-distance", text: distance(offer.distance), attributes: { "aria-label": `distance ${distance(offer.distance)}` } }),
    element("span", { className: "offer-facts", text: facts }),
  );
}

const otherRow = ({ name, why }) =>
  element("li", { className: "offer out" }, element("span", { className: "offer-name", text: name }), element("span", { className: "offer-facts", text: why }));

/** The circle before anybody was asked. */
export const showEmptyCircle = () => byId("circle-chart").replaceChildren(picture([]));

/** Show a gathering: `{line, offers, others}`, the best offers first. */
export function showCircle({ line, offers, others }) {
  byId("circle-line").textContent = line;
  byId("circle-chart").replaceChildren(picture(offers));
  byId("circle-list").replaceChildren(...offers.map(offerRow), ...others.map(otherRow));
}
