// One field of the send form: its inputs, made from its description, and its value.

import { button, el, freshId } from "/_page/static/js/dom.js";

/**
 * A field as {node, read(), show(error), path}. read() returns undefined for an empty field.
 * path is the field's name in the API's errors, such as slides[0].image.
 */
export function field(of, value, path = of.name) {
  const make = { yes, number, choice, groups, group, pairs }[of.kind] ?? text;
  return make(of, value, path);
}

/** Inputs under a label, with help and room for an error. */
function labelled(of, input, path, readValue) {
  const id = freshId("field");
  const help = of.help ? el("p", { class: "help", id: `${id}-help` }, of.help) : null;
  const error = el("p", { class: "error", id: `${id}-error`, hidden: true });
  input.id = id;
  input.name = path;
  input.setAttribute("aria-describedby", `${help ? `${id}-help ` : ""}${id}-error`);
  if (of.required) input.setAttribute("aria-required", "true");
  const label = el("label", { for: id }, of.name.replaceAll("_", " "), star(of));
  const inLine = input.type === "checkbox";
  const node = el(
    "div",
    { class: `field${inLine ? " check" : ""}${of.long ? " wide" : ""}` },
    ...(inLine ? [input, label] : [label, input]),
    error,
    help,
  );
  return { node, path, read: readValue, show: (message) => showError(input, error, message) };
}

const star = (of) => (of.required ? el("span", { class: "star", title: "required" }, " *") : null);

function showError(input, error, message) {
  error.hidden = !message;
  error.textContent = message ?? "";
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function text(of, value, path) {
  const input = of.long
    ? el("textarea", { rows: 2 })
    : el("input", { type: of.secret ? "password" : "text", autocomplete: "off" });
  input.value = value ?? "";
  if (of.example && !of.secret) input.placeholder = `such as ${of.example}`.slice(0, 60);
  return labelled(of, input, path, () => input.value || undefined);
}

function number(of, value, path) {
  const input = el("input", { inputmode: "numeric", autocomplete: "off" });
  input.value = value ?? "";
  // Anything else is sent unchanged, so that the API can report the error.
  const readValue = () => {
    if (input.value === "") return undefined;
    return /^-?\d+$/.test(input.value) ? Number(input.value) : input.value;
  };
  return labelled(of, input, path, readValue);
}

function yes(of, value, path) {
  const input = el("input", { type: "checkbox" });
  input.checked = Boolean(value);
  return labelled(of, input, path, () => input.checked || undefined);
}

function choice(of, value, path) {
  const options = of.choices.map((each) => el("option", { value: each }, each));
  const input = el("select", {}, el("option", { value: "" }, "(not set)"), ...options);
  input.value = value ?? "";
  return labelled(of, input, path, () => input.value || undefined);
}

function fieldset(of, path, ...children) {
  const error = el("p", { class: "error", hidden: true });
  const legend = el("legend", {}, of.name.replaceAll("_", " "), star(of));
  const help = of.help ? el("p", { class: "help" }, of.help) : null;
  const node = el("fieldset", { class: "field wide" }, legend, help, error, ...children);
  return { node, path, show: (message) => showError(node, error, message) };
}

/** Several fields under one name. */
function group(of, value, path) {
  const inner = of.fields.map((each) => field(each, value?.[each.name], `${path}.${each.name}`));
  const own = fieldset(of, path, folded(inner, of.fields, value));
  return { ...own, inner: () => inner, read: () => objectOf(inner, of.fields) };
}

/** A list of such groups that can grow. */
function groups(of, value, path) {
  let entries = [];
  const list = el("div", { class: "groups" });
  const add = (given) => {
    const at = `${path}[${entries.length}]`;
    const inner = of.fields.map((each) => field(each, given?.[each.name], `${at}.${each.name}`));
    const error = el("p", { class: "error", hidden: true });
    const node = el(
      "div",
      { class: "group", role: "group", "aria-label": `${of.name} ${entries.length + 1}` },
      error,
      folded(inner, of.fields, given),
    );
    entries.push({ node, path: at, fields: inner, show: (message) => showError(node, error, message) });
    list.append(node);
  };
  const removeLast = () => {
    entries.pop()?.node.remove();
  };
  for (const given of value ?? [{}]) add(given);
  const one = of.name.replaceAll("_", " ").replace(/s$/, "");
  const buttons = el(
    "div",
    { class: "buttons" },
    button(`Add ${one}`, () => add({})),
    button(`Remove last ${one}`, removeLast),
  );
  const own = fieldset(of, path, list, buttons);
  const readValue = () => {
    const found = entries.map((entry) => objectOf(entry.fields, of.fields) ?? {});
    const empty = found.every((each) => !Object.keys(each).length);
    return empty && !of.required ? undefined : found;
  };
  return { ...own, inner: () => entries.flatMap((e) => [e, ...e.fields]), read: readValue };
}

/** Free names and values, one per line. */
function pairs(of, value, path) {
  const lines = Object.entries(value ?? {}).map(([name, each]) => `${name}: ${each}`);
  const input = el("textarea", { rows: 2, placeholder: "first_name: Ada" });
  input.value = lines.join("\n");
  const readValue = () => {
    const found = {};
    for (const line of input.value.split("\n")) {
      const [name, ...rest] = line.split(":");
      if (name.trim()) found[name.trim()] = rest.join(":").trim();
    }
    return Object.keys(found).length ? found : undefined;
  };
  return labelled(
    { ...of, help: `${of.help} One per line: name: value.`, long: true },
    input,
    path,
    readValue,
  );
}

/** Shows required and filled fields first; hides the others behind one click. */
export function folded(fields, descriptions, value) {
  const first = [];
  const rest = [];
  fields.forEach((each, place) => {
    const of = descriptions[place];
    const isVisible = of.required || value?.[of.name] !== undefined;
    (isVisible ? first : rest).push(each.node);
  });
  if (!first.length && rest.length < 7) return el("div", { class: "fields" }, ...rest);
  if (!rest.length) return el("div", { class: "fields" }, ...first);
  return el(
    "div",
    {},
    first.length ? el("div", { class: "fields" }, ...first) : null,
    el(
      "details",
      { class: "more-fields" },
      el("summary", {}, `More fields (${rest.length})`),
      el("div", { class: "fields" }, ...rest),
    ),
  );
}

/** The values of fields by name; undefined if there are none. */
export function objectOf(fields, descriptions) {
  const found = {};
  fields.forEach((each, place) => {
    const value = each.read();
    if (value !== undefined) found[descriptions[place].name] = value;
  });
  return Object.keys(found).length ? found : undefined;
}

/** All fields and the fields inside them. */
export const withInner = (fields) =>
  fields.flatMap((each) => [each, ...(each.inner ? withInner(each.inner()) : [])]);
