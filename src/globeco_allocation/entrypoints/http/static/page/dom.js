// Nodes are made here and nowhere else. Values become text or attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

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
    if (name === "text") node.textContent = value;
    else if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Set a node's text, if it is another: a text that is selected or read aloud stays alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Replace a node's children, and give the focus back to the one with the same `data-focus`. */
export function refill(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
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
  byId("announcer").textContent = text;
}
