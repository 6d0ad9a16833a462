// The only place where elements are made: text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function fill(node, { text, className, attributes = {} }, children) {
  if (className) node.setAttribute("class", className);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Make an HTML element. */
export const element = (tag, options = {}, ...children) => fill(document.createElement(tag), options, children);

/** Make an SVG element. */
export const shape = (tag, options = {}, ...children) => fill(document.createElementNS(SVG, tag), options, children);
