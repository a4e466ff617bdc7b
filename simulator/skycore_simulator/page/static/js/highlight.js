// Highlights one message in all columns: its bubble, its request, its postbacks and what an
// extension shows of it. Elements name their message with data-message, the tracking id.

const sheet = new CSSStyleSheet(); // one rule: rows that come later are highlighted too
document.adoptedStyleSheets.push(sheet);

/** Highlights the message under the pointer, or else the one with the focus. */
export function highlightMessages(within) {
  within.addEventListener("pointerover", (event) => highlight(messageOf(event.target)));
  within.addEventListener("pointerleave", () => highlight(""));
  within.addEventListener("focusin", (event) => highlight(messageOf(event.target)));
}

const messageOf = (element) => element.closest("[data-message]")?.dataset.message ?? "";

let shown = "";

function highlight(hovered) {
  const id = hovered || messageOf(document.activeElement);
  if (id === shown) return;
  shown = id;
  const rule = `{ outline: 2px solid var(--same); outline-offset: -2px; background: var(--same-bg); }`;
  sheet.replaceSync(id ? `[data-message="${CSS.escape(id)}"] ${rule}` : "");
}
