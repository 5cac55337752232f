// Makes what the page is made of. Text becomes text and never markup: there is no other way in here to put anything on the page.

import { count } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") {
      node.addEventListener(name, value);
      listening.add(node);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element. A function among the attributes listens to the event of that name. */
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a drawing. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Elements that listen. They are replaced and never changed, so that what they do is of what they stand for. */
const listening = new WeakSet();

/**
 * Puts these in the place of all that was there. What is the same stays, and what is alike is changed in place, so that focus,
 * selection and scrolling stay where they are. What a listener depends upon has to stand in the attributes of its element.
 */
export function show(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  become(place, el("div", {}, ...children));
  const key = focused?.dataset?.key;
  if (key && !focused.isConnected) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** Gives a node the children of another. */
function become(old, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, index) => {
    const there = old.childNodes[index];
    if (!there) old.append(node);
    else if (!there.isEqualNode(node)) change(there, node);
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function change(there, node) {
  const are_alike = there.nodeName === node.nodeName && !listening.has(there) && !listening.has(node);
  if (!are_alike) return there.replaceWith(node);
  if (there.nodeType === Node.TEXT_NODE) return void (there.data = node.data);
  for (const { name } of [...there.attributes]) if (!node.hasAttribute(name)) there.removeAttribute(name);
  for (const { name, value } of node.attributes) if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  become(there, node);
}

/** Says something to whoever listens instead of looking. */
export function tell(text) {
  document.getElementById("told").textContent = text;
}

/** A sentence in which what stands between backticks is code. */
export function prose(text) {
  return String(text).split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

/** A table. Each column is `[heading, of a row, class]`; `name` says what it is of. */
export function table(name, columns, rows, of_row) {
  // On a narrow page the rows are drawn as cards, and are rows of a table nevertheless: hence the roles.
  const heads = columns.map(([head, , kind]) => el("th", { scope: "col", role: "columnheader", class: kind }, head || el("span", { class: "unseen" }, "What can be done")));
  const line = (row) => el("tr", { role: "row", ...of_row?.(row) }, columns.map(([head, cell, kind]) => el("td", { role: "cell", class: kind, "data-head": head }, cell(row))));
  return el("div", { class: "scroll" },
    el("table", { role: "table" }, el("caption", { class: "unseen" }, name),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), el("tbody", { role: "rowgroup" }, rows.map(line))));
}

/** Pairs of a name and what it is. */
export function facts(...pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "facts" }, shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A number in a table, where nothing is to be looked at if it is 0. */
export const amount = (number) => (number === 0 ? el("span", { class: "zero" }, "0") : count(number));

/** A link to a notification. */
export function notification(id) {
  return el("a", { class: "id", title: id, href: `#/notifications/${encodeURIComponent(id)}`, "data-key": `n-${id}` }, id);
}

/** A link to a merchant. */
export function merchant(id) {
  return el("a", { class: "name", title: id, href: `#/merchants/${encodeURIComponent(id)}`, "data-key": `m-${id}` }, id);
}
