// The Idempotency-Key of the send form: a message keeps its key when it is sent again, and a new
// message gets a new one.

import { button, el } from "/_page/static/js/dom.js";

const input = el("input", {
  id: "idempotency-key",
  autocomplete: "off",
  maxlength: "255",
  "aria-describedby": "idempotency-key-help",
});
let isUsed = false; // a message was sent with this key
let isTyped = false; // a person chose it: it stays

export const key = () => input.value;
export const used = () => (isUsed = true);

/** Makes a new key. */
export function renew() {
  input.value = `order-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  isUsed = isTyped = false;
}

/** Notices a change of the form. */
export function changed(event) {
  if (event.target === input) isTyped = true;
  else if (isUsed && !isTyped) renew();
}

/** The field; `refresh` is called after the button made a new key. */
export function keyField(refresh) {
  renew();
  const another = button("New key", () => {
    renew();
    refresh();
  });
  return el(
    "div",
    { class: "field" },
    el("label", { for: input.id }, "Idempotency-Key"),
    el("div", { class: "inline" }, input, another),
    el("p", { class: "help", id: "idempotency-key-help" }, "The same key never sends twice."),
  );
}
