// One field of the send form: from its description to inputs, and from those back to a value.

import { button, el, freshId } from "./dom.js";

/**
 * A field as {node, read(), show(error), path}. read() gives undefined where nothing was put in.
 * path is what the API calls the field in its errors, such as slides[0].image.
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
  return { node, path, read: readValue, show: (said) => showError(input, error, said) };
}

const star = (of) => (of.required ? el("span", { class: "star", title: "needed" }, " *") : null);

function showError(input, error, said) {
  error.hidden = !said;
  error.textContent = said ?? "";
  if (said) input.setAttribute("aria-invalid", "true");
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
  // What is not a number goes as it is, so that the API can say what is wrong with it.
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
  const input = el("select", {}, el("option", { value: "" }, "(as it is)"), ...options);
  input.value = value ?? "";
  return labelled(of, input, path, () => input.value || undefined);
}

function fieldset(of, path, ...children) {
  const error = el("p", { class: "error", hidden: true });
  const legend = el("legend", {}, of.name.replaceAll("_", " "), star(of));
  const help = of.help ? el("p", { class: "help" }, of.help) : null;
  const node = el("fieldset", { class: "field wide" }, legend, help, error, ...children);
  return { node, path, show: (said) => showError(node, error, said) };
}

/** Several fields under one name. */
function group(of, value, path) {
  const inner = of.fields.map((each) => field(each, value?.[each.name], `${path}.${each.name}`));
  const own = fieldset(of, path, folded(inner, of.fields, value));
  return { ...own, inner: () => inner, read: () => objectOf(inner, of.fields) };
}

/** A list of such groups, to which one can add. */
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
    entries.push({ node, path: at, fields: inner, show: (said) => showError(node, error, said) });
    list.append(node);
  };
  const removeLast = () => {
    entries.pop()?.node.remove();
  };
  for (const given of value ?? [{}]) add(given);
  const buttons = el(
    "div",
    { class: "buttons" },
    button(`Add to ${of.name.replaceAll("_", " ")}`, () => add({})),
    button("Remove the last", removeLast),
  );
  const own = fieldset(of, path, list, buttons);
  const readValue = () => {
    const found = entries.map((entry) => objectOf(entry.fields, of.fields) ?? {});
    const empty = found.every((each) => !Object.keys(each).length);
    return empty && !of.required ? undefined : found;
  };
  return { ...own, inner: () => entries.flatMap((e) => [e, ...e.fields]), read: readValue };
}

/** Names and values of one's own choice, one a line. */
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
    { ...of, help: `${of.help} One a line, name: value.`, long: true },
    input,
    path,
    readValue,
  );
}

/** Fields that are needed or filled in come first; the others are behind one click. */
export function folded(fields, descriptions, value) {
  const first = [];
  const rest = [];
  fields.forEach((each, place) => {
    const of = descriptions[place];
    const inSight = of.required || value?.[of.name] !== undefined;
    (inSight ? first : rest).push(each.node);
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

/** The values of fields under their names; undefined where there is none. */
export function objectOf(fields, descriptions) {
  const found = {};
  fields.forEach((each, place) => {
    const value = each.read();
    if (value !== undefined) found[descriptions[place].name] = value;
  });
  return Object.keys(found).length ? found : undefined;
}

/** All fields with those inside them. */
export const withInner = (fields) =>
  fields.flatMap((each) => [each, ...(each.inner ? withInner(each.inner()) : [])]);
