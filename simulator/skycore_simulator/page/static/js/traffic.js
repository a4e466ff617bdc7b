// The traffic: each request to Skycore and each postback that it sent.

import { code } from "./code.js";
import { announce, button, el, fill, find } from "./dom.js";
import { chip, expandable } from "./expandable.js";
import { number, time, tone } from "./format.js";
import { NewestFirst } from "./newest-first.js";
import { control, read } from "./server.js";

const DELAY_SECONDS = 10;
const REPEATS = [
  ["Post again", {}, "was posted again"],
  [`In ${DELAY_SECONDS} s`, { after: DELAY_SECONDS }, `will be posted in ${DELAY_SECONDS} seconds`],
  ["Twice", { times: 2 }, "was posted twice"],
  ["Malformed", { as: "malformed" }, "was posted with its end missing"],
  ["As v2 JSON", { as: "v2" }, "was posted as v2 JSON"],
];

const isPostback = (row) => row.kind === "postbacks";
const list = new NewestFirst({
  label: "Requests and postbacks, newest first",
  empty: "Nothing yet. Send a message, and the request to Skycore appears here.",
  make,
  update,
  order: (row) => row.id,
  older: (row) => rowsBefore(row.id),
});

export function start(snapshot) {
  if (!list.node.isConnected) {
    find("#traffic-rows").append(list.node);
    find("#traffic-words").addEventListener("input", searchWhenTyped);
    find("#traffic-kind").addEventListener("change", () => search());
  }
  if (isFiltered()) search();
  else list.replace([...of("requests", snapshot.requests), ...of("postbacks", snapshot.postbacks)]);
}

export function apply({ requests = [], postbacks = [], skipped = {} }) {
  if (isFiltered()) {
    searchSoon();
    return;
  }
  const left = (skipped.requests ?? 0) + (skipped.postbacks ?? 0);
  list.add([...of("requests", requests), ...of("postbacks", postbacks)], left);
}

const of = (kind, rows) => rows.map((row) => ({ ...row, kind }));
const isFiltered = () => find("#traffic-words").value.trim() || find("#traffic-kind").value !== "both";

let typed = 0;
let waiting = 0;

function searchWhenTyped() {
  clearTimeout(typed);
  typed = setTimeout(search, 200);
}

/** Twice a second while things happen; rows that are open stay as they are. */
function searchSoon() {
  waiting ||= setTimeout(() => {
    waiting = 0;
    search({ again: true });
  }, 500);
}

async function search({ again = false } = {}) {
  const filter = JSON.stringify([searchWords(), find("#traffic-kind").value]);
  const rows = await rowsBefore(null);
  if (filter !== JSON.stringify([searchWords(), find("#traffic-kind").value])) return;
  if (again) list.add(rows);
  else list.replace(rows);
}

/** A number may be typed as the page shows it: +1 774 319 9144. */
function searchWords() {
  const words = find("#traffic-words").value.trim();
  return /^[+(\d][\d\s()]*$/.test(words) ? words.replace(/\D/g, "") : words;
}

async function rowsBefore(before) {
  const words = encodeURIComponent(searchWords());
  const kind = find("#traffic-kind").value;
  const kinds = kind === "both" ? ["requests", "postbacks"] : [kind];
  const query = `q=${words}${before === null ? "" : `&before=${before}`}`;
  const found = await Promise.all(kinds.map((name) => read(`${name}?${query}`)));
  const rows = found.flatMap((each, place) => of(kinds[place], each));
  return rows.sort((a, b) => b.id - a.id).slice(0, 200);
}

function make(row) {
  const line = el("span", { class: "line" });
  const item = expandable(line, (body) => (isPostback(row) ? postback : request)(body, row.id));
  item.line = line;
  update(item, row);
  return item;
}

function update(item, row) {
  item.dataset.message = row.tracking_id;
  fill(
    item.line,
    el("span", { class: `way ${row.kind}`, "aria-hidden": "true" }, isPostback(row) ? "←" : "→"),
    ...(isPostback(row) ? postbackLine(row) : requestLine(row)),
    el("time", { datetime: row.time }, time(row.time)),
  );
  item.refill();
}

const requestLine = (row) => [
  el("strong", {}, number(row.to) || row.action),
  el("span", { class: "about" }, row.to ? row.action : ""),
  requestResult(row),
];

function requestResult(row) {
  if (row.code) return chip(row.code, "bad");
  if (row.mode !== "normal") return chip(row.mode.replaceAll("_", " "), "bad");
  return chip(row.answered ? "Success" : "…", row.answered ? "good" : "busy");
}

const postbackLine = (row) => [
  el("strong", {}, number(row.number) || "Postback"),
  chip(row.words, row.failed ? "bad" : tone(row.words)),
  el("span", { class: "code" }, row.code),
  el("span", { class: "about", title: row.tracking_id }, lastDigits(row.tracking_id)),
  el("span", { class: "answer", title: "What the postback URL answered" }, postbackAnswer(row)),
];

/** Tracking ids begin alike, and most end in the padding of base64. */
const lastDigits = (id) => (id.length > 10 ? id.replace(/=+$/, "").slice(-4) : id);

/** The HTTP answer says nothing about the message: only a failure to deliver has a colour. */
function postbackAnswer(row) {
  const tries = row.tries > 1 ? ` · try ${row.tries}` : "";
  if (!row.tries) return chip("waiting", "busy");
  if (row.delivered) return `200${tries}`;
  return chip(row.gave_up ? `gave up: ${row.answer}` : `${row.answer}${tries}`, "bad");
}

async function request(body, id) {
  const whole = await readEntry(body, `requests/${id}`);
  if (!whole) return;
  const unknown = whole.unknown_fields.join(", ");
  fill(
    body,
    el("p", { class: "facts" }, `${whole.method} ${whole.path} · ${whole.transport}, key masked`),
    code(whole.text, "The request as received"),
    unknown ? el("p", { class: "facts warn" }, `Skycore ignores: ${unknown}`) : null,
    el("p", { class: "label" }, "Reply"),
    whole.reply
      ? code(whole.reply, "Skycore's reply")
      : el("p", { class: "facts" }, `none (${whole.mode.replaceAll("_", " ")})`),
  );
}

async function postback(body, id) {
  const whole = await readEntry(body, `postbacks/${id}`);
  if (!whole) return;
  const rows = whole.tries.map((each) =>
    el(
      "tr",
      {},
      el("td", {}, time(each.time)),
      el("td", {}, chip(each.answer, each.answer === "200" ? "plain" : "bad")),
      el("td", {}, `${each.seconds} s`),
    ),
  );
  const forms = REPEATS.filter(([, how]) => how.as !== "v2" || whole.other_forms);
  fill(
    body,
    el("p", { class: "facts" }, `POST to the postback URL · ${whole.content_type}`),
    code(whole.body, "The postback's body"),
    el(
      "table",
      { class: "tries" },
      el("caption", {}, "Tries"),
      el(
        "thead",
        {},
        el("tr", {}, ...["Time", "Answer", "Took"].map((h) => el("th", { scope: "col" }, h))),
      ),
      el("tbody", {}, ...rows),
    ),
    el(
      "div",
      { class: "buttons", role: "group", "aria-label": "Post it again" },
      ...forms.map(([label, how, said]) => button(label, () => again(id, how, said))),
    ),
  );
}

async function again(id, how, said) {
  await control.post("postback", { repeat: id, ...how });
  announce(`The postback ${said}`);
}

async function readEntry(body, path) {
  try {
    return await read(path);
  } catch (error) {
    fill(body, el("p", { class: "facts" }, error.message));
    return null;
  }
}
