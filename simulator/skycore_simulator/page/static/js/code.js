// XML and JSON as coloured text; it is never parsed as HTML.

import { el } from "./dom.js";

const PIECES = /(<[/?!]?[\w:.-]+)([^<>]*?)([/?]?>)|([^<]+|<)/g;

/** A block of code that can be scrolled with the keyboard. */
export function code(text, label) {
  const shown = text.trimStart().startsWith("<") ? coloured(text) : [indented(text)];
  return el("pre", { tabindex: "0", "aria-label": label, role: "group" }, el("code", {}, ...shown));
}

function coloured(text) {
  const parts = [];
  for (const [, open, inside, close, rest] of text.matchAll(PIECES)) {
    if (rest !== undefined) parts.push(rest);
    else parts.push(el("span", { class: "tag" }, open, inside, close));
  }
  return parts;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
