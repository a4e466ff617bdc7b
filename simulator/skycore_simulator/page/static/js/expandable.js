// A row that expands: a line that summarizes it, and a body that is made when the row is opened.

import { el, fill } from "./dom.js";

/** A list item with `line` as its summary; `show(body)` is called each time it is opened. */
export function expandable(line, show) {
  const body = el("div", { class: "row-body" });
  const details = el("details", {}, el("summary", {}, line), body);
  details.addEventListener("toggle", () => {
    if (details.open) show(body);
    else fill(body);
  });
  const item = el("li", {}, details);
  item.refill = () => details.open && show(body);
  return item;
}

/** A word in a coloured frame; the word alone has the full meaning. */
export const chip = (word, tone) => el("span", { class: `chip ${tone}` }, word);
