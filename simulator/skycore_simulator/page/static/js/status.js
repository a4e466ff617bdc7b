// The status beside the heading, and the notice below it.

import { find } from "./dom.js";

/** Shows whether things work; state is up, waiting or lost. */
export function showStatus(text, state) {
  const shown = find("#status");
  if (shown.textContent !== text) shown.textContent = text;
  shown.dataset.state = state;
}

/** Shows a notice; null hides it. */
export function showNotice(text) {
  const notice = find("#notice");
  notice.hidden = text === null;
  notice.textContent = text ?? "";
}
