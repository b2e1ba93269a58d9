// Nodes are made here and nowhere else. Values become text or attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";
const STEERING = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g; // as on terminals

/** Text of others without what would steer how it is shown, such as its direction. */
export const legible = (text) => text.replace(STEERING, "\ufffd");

/** Make an element; `text` is its text, a function is a listener, false and null leave an attribute out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") say(node, value);
    else if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, legible(String(value)));
  }
  node.append(...present(children));
  return node;
}

const present = (children) => children
  .filter((child) => child !== null && child !== undefined)
  .map((child) => (typeof child === "string" ? legible(child) : child));

export const byId = (id) => document.getElementById(id);

/** Set a node's text, if it is another: a text that is selected or read aloud stays alone. */
export function say(node, text) {
  const shown = legible(String(text ?? ""));
  if (node.textContent !== shown) node.textContent = shown;
}

/** Replace a node's children, and give the focus back to the one with the same `data-focus`. */
export function refill(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  node.replaceChildren(...present(children));
  if (focused !== undefined) {
    [...node.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === focused)?.focus();
  }
}

/** Put nodes into a parent in this order; those that stand right are not touched, so focus stays. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/** Say something to those who listen to the page, in turn with whatever they hear. */
export function announce(text) {
  byId("announcer").textContent = legible(text);
}
