// A row that opens: a line that says what it is, and a body that is made when it is looked at.

import { el, fill } from "./dom.js";

/** A list item with `line` in its summary; `show(body)` is called at each opening. */
export function opening(line, show) {
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

/** A word in a coloured frame; the word alone says it all. */
export const chip = (word, tone) => el("span", { class: `chip ${tone}` }, word);
