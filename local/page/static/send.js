// The send form: makes the signed request that a user's service would make, for every action.

import { code } from "/_page/static/js/code.js";
import { announce, button, el, fill, find } from "/_page/static/js/dom.js";
import { chip } from "/_page/static/js/expandable.js";
import { tone } from "/_page/static/js/format.js";
import { follow } from "/_page/static/js/handsets.js";
import { read } from "/_page/static/js/server.js";
import { callApi } from "./api.js";
import { field, folded, objectOf, withInner } from "./fields.js";
import * as keys from "./key.js";
import { curl, python } from "./snippets.js";

const GROUPS = {
  send: "Send",
  read: "Look up",
  create: "Create",
  write: "Change",
  delete: "Delete",
};

let forms = [];
let stackFile = ".local/stack.json";
let current = null; // {form, fields}

const choice = el("select", { id: "action", on: { change: () => show(choice.value) } });
const body = el("div", { class: "form-fields" });
const summary = el("p", { class: "help", id: "action-help" });
const queued = el("input", { type: "checkbox", id: "respond-async" });
const messageOptions = el("div", { class: "fields options" });
const submit = el("button", { type: "submit", class: "main", id: "send-button" }, "Send");
const result = el("div", { class: "result", role: "status", id: "send-result" });
const snippet = el("div", { class: "snippet" });

export function setStack(stack) {
  if (stack.file) stackFile = stack.file;
  submit.disabled = !stack.up;
}

export async function start() {
  if (forms.length) return;
  forms = await read("forms");
  for (const [effect, label] of Object.entries(GROUPS)) {
    const own = forms.filter((form) => form.effect === effect);
    const options = own.map((form) => el("option", { value: form.action }, form.action));
    choice.append(el("optgroup", { label }, ...options));
  }
  messageOptions.append(
    keys.keyField(refreshSnippet),
    el(
      "div",
      { class: "field check" },
      queued,
      el("label", { for: queued.id }, "Queue it (Prefer: respond-async)"),
    ),
  );
  const form = el(
    "form",
    { novalidate: true, on: { submit: send, input: changed } },
    el(
      "div",
      { class: "form-head" },
      el("h3", { id: "send-title" }, "Send"),
      el("label", { for: choice.id, class: "sr" }, "Action"),
      choice,
    ),
    summary,
    body,
    messageOptions,
    el(
      "div",
      { class: "buttons" },
      submit,
      button("Show as curl", () => showSnippet("curl"), {
        "aria-expanded": "false",
        id: "as-curl",
      }),
      button("Show as Python", () => showSnippet("python"), {
        "aria-expanded": "false",
        id: "as-python",
      }),
    ),
    snippet,
    result,
  );
  choice.setAttribute("aria-describedby", summary.id);
  fill(find("#send"), form);
  show("sendSMS");
}

function changed(event) {
  keys.changed(event);
  refreshSnippet();
}

/** Shows the form of an action with its example, and `values` instead of some of it. */
export function fillIn(action, values) {
  show(action, values);
  find("#send").scrollIntoView({ block: "nearest" });
  submit.focus();
}

function show(action, values = {}) {
  const form = forms.find((each) => each.action === action);
  const example = { ...form.example, ...values };
  const fields = form.fields.map((of) => field(of, example[of.name]));
  keys.renew();
  current = { form, fields };
  choice.value = action;
  summary.textContent = `${form.summary}.`.replace("..", ".");
  fill(
    body,
    form.fields.length
      ? folded(fields, form.fields, example)
      : el("p", { class: "help" }, "This action has no fields."),
  );
  messageOptions.hidden = !form.names_itself;
  submit.textContent = form.names_itself ? "Send" : `Call ${action}`;
  fill(result);
  refreshSnippet();
}

/** The request that the form describes. */
function request() {
  const { form, fields } = current;
  const values = objectOf(fields, form.fields) ?? {};
  const content = form.names_itself ? { action: form.action, ...values } : values;
  const headers = {};
  if (form.names_itself && keys.key()) headers["Idempotency-Key"] = keys.key();
  if (form.names_itself && queued.checked) headers.Prefer = "respond-async";
  return { path: form.path, body: content, headers };
}

async function send(event) {
  event.preventDefault();
  const { path, body: content, headers } = request();
  for (const each of withInner(current.fields)) each.show(null);
  submit.disabled = true;
  fill(
    result,
    el("p", { class: "facts" }, "Waiting for the answer. Skycore may take up to 15 seconds…"),
  );
  keys.used();
  followTyped(content.to);
  try {
    showAnswer(await callApi("POST", path, content, headers));
  } catch (error) {
    fill(result, el("p", { class: "error" }, error.message));
  }
  submit.disabled = false;
}

function showAnswer(answer) {
  const good = answer.status < 300;
  const problem = answer.body ?? {};
  const words = good ? (problem.status ?? "done") : (problem.code ?? "");
  const isReplay = Boolean(answer.headers["idempotency-replayed"]);
  const left = good ? [] : fieldErrors(problem.errors ?? []);
  fill(
    result,
    el(
      "p",
      { class: "outcome" },
      chip(`${answer.status} ${words}`, good ? "good" : "bad"),
      isReplay ? chip("replayed", "plain") : null,
      el("span", { class: "about" }, `in ${answer.seconds} s`),
    ),
    ...(isReplay ? replayNote() : []),
    good ? null : el("p", { class: "error" }, problem.detail ?? problem.title ?? ""),
    left.length ? el("ul", { class: "error" }, ...left.map((row) => el("li", {}, row))) : null,
    el(
      "details",
      {},
      el("summary", {}, "The full answer"),
      code(JSON.stringify(answer.body, null, 2), "The API's answer"),
    ),
  );
  if (good && current.form.names_itself && problem.to) follow(problem.to);
  const retry = answer.headers["retry-after"];
  if (retry) result.append(el("p", { class: "facts" }, `Retry-After: ${retry} s`));
}

/** Shows the phone that is written to while the answer is awaited, if its country code is typed. */
function followTyped(typed) {
  const digits = String(typed ?? "").replace(/\D/g, "");
  if (/^\s*\+/.test(typed ?? "") && digits.length >= 7) follow(digits);
}

const replayNote = () => [
  el(
    "p",
    { class: "facts" },
    "Replayed: this key was used before, and this is its first answer. Nothing was sent twice.",
  ),
  button("Send as a new message", () => {
    keys.renew();
    refreshSnippet();
    submit.click();
  }),
];

/** Shows each error at its field; returns those whose field is not in the form. */
function fieldErrors(errors) {
  const fields = withInner(current.fields);
  const left = [];
  let first = null;
  for (const { field: path, detail } of errors) {
    const own = fields.find((each) => each.path === path);
    if (!own) {
      left.push(path ? `${path}: ${detail}` : detail);
      continue;
    }
    own.show(detail);
    let fold = own.node.closest("details");
    while (fold) {
      fold.open = true;
      fold = fold.parentElement.closest("details");
    }
    first ??= own.node.querySelector("input, textarea, select");
  }
  first?.focus();
  return left;
}

let snippetKind = "";

function showSnippet(kind) {
  snippetKind = snippetKind === kind ? "" : kind;
  for (const each of ["curl", "python"]) {
    find(`#as-${each}`).setAttribute("aria-expanded", String(each === snippetKind));
  }
  refreshSnippet();
}

function refreshSnippet() {
  if (!snippetKind) {
    fill(snippet);
    return;
  }
  const text = (snippetKind === "curl" ? curl : python)(request(), stackFile);
  const shown = code(text, `As ${snippetKind}`);
  fill(
    snippet,
    shown,
    button("Copy", () => copy(text, shown)),
  );
}

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied");
  } catch {
    getSelection().selectAllChildren(shown);
    announce("Selected: copy it with the keyboard");
  }
}
