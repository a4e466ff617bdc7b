// Makes and finds elements.

/** An element: attributes as they are in HTML; `on` holds listeners; null children are left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true) {
      made.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, value);
    }
  }
  fill(made, ...children);
  return made;
}

/** Replaces an element's children; null children are left out. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat().filter((child) => child !== null && child !== undefined),
  );
}

export const find = (selector, within = document) => within.querySelector(selector);

/** A button that calls `act`. */
export function button(label, act, attributes = {}) {
  return el("button", { type: "button", on: { click: act }, ...attributes }, label);
}

/** Announces to screen readers what nothing visible shows. */
export function announce(text) {
  find("#announcer").textContent = text;
}

let ids = 0;
/** An id that no other element has. */
export const freshId = (prefix) => `${prefix}-${++ids}`;
