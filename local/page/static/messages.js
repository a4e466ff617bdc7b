// Messages with their status from the events, and their timelines from the API.

import { announce, button, el, fill, find } from "/_page/static/js/dom.js";
import { number, time, tone } from "/_page/static/js/format.js";
import { NewestFirst } from "/_page/static/js/newest-first.js";
import { chip, expandable } from "/_page/static/js/expandable.js";
import { callApi } from "./api.js";

// The product's ranks: a delivery outranks a failure, a failure outranks an expiry.
const RANKS = [
  "scheduled",
  "queued",
  "sending",
  "unknown",
  "accepted",
  "sent",
  "expired",
  "failed",
  "delivered",
  "rejected",
  "cancelled",
];

const known = new Map(); // message id → row; the newest only
const KEPT = 2000;
let last = 0;

const list = new NewestFirst({
  label: "Messages, newest first",
  empty: "No message yet. Send one above.",
  make,
  update,
  order: (row) => row.order,
  key: (row) => row.message_id,
});

export function start(snapshot, isNew) {
  if (!list.node.isConnected) find("#panel-messages").append(list.node);
  if (isNew) {
    known.clear();
    list.replace([]);
  }
  apply({ events: [...snapshot.events].reverse() });
}

export function apply({ events = [] }) {
  for (const { event } of events) {
    const { data } = event;
    if (!data.message_id) continue;
    add({ ...data, created_at: event.time, status: statusOf(data) });
  }
}

/** Adds the message, or one per recipient, that the API returned for a send. */
export function addSent(answer) {
  if (!answer?.message_id) return;
  add(answer);
  for (const recipient of answer.recipients ?? []) add({ ...answer, ...recipient });
}

function add(message) {
  const before = known.get(message.message_id);
  const row = { ...message, ...before };
  row.order = before?.order ?? ++last;
  const higher = RANKS.indexOf(message.status) > RANKS.indexOf(before?.status);
  row.status = higher ? message.status : (before?.status ?? "accepted");
  row.client_reference = before?.client_reference ?? message.client_reference;
  known.set(row.message_id, row);
  if (known.size > KEPT) known.delete(known.keys().next().value);
  list.add([row]);
}

/** The status that an event gives its message; device discovery changes none. */
function statusOf(data) {
  const event = data.event ?? "";
  if (event.startsWith("message_")) return event.replace("message_", "");
  if (event.startsWith("ddm_")) return "accepted";
  if (event.endsWith("_delivered")) return "delivered";
  if (event.endsWith("_expired") || /expired/i.test(data.status ?? "")) return "expired";
  if (data.outcome === "failure") return "failed";
  return event.endsWith("_sent") ? "sent" : "accepted";
}

function make(row) {
  const line = el("span", { class: "line" });
  const item = expandable(line, (body) => timeline(body, row.message_id));
  item.line = line;
  update(item, row);
  return item;
}

function update(item, row) {
  fill(
    item.line,
    chip(row.status, tone(row.status)),
    el("strong", {}, number(row.to) || row.email || row.action || "message"),
    el("span", { class: "about" }, row.client_reference ?? ""),
    row.status === "scheduled" ? el("span", { class: "about" }, `until ${row.send_at}`) : "",
    el("time", { datetime: row.created_at }, time(row.created_at)),
  );
  item.refill();
}

async function timeline(body, id) {
  let answer;
  try {
    answer = await callApi("GET", `/messages/${encodeURIComponent(id)}`);
  } catch (error) {
    fill(body, el("p", { class: "facts" }, error.message));
    return;
  }
  if (answer.status !== 200) {
    fill(body, el("p", { class: "facts" }, answer.body?.detail ?? `${answer.status}`));
    return;
  }
  const message = answer.body;
  const began = new Date(message.created_at).getTime();
  const steps = message.timeline.map((step) => {
    const after = (new Date(step.received_at ?? step.time).getTime() - began) / 1000;
    return el(
      "li",
      {},
      el("span", { class: "after" }, `${after.toFixed(2)} s`),
      el("span", {}, step.event.replaceAll("_", " ")),
      step.code ? chip(step.code, tone(step.code)) : "",
      el("span", { class: "about" }, step.status ?? ""),
    );
  });
  fill(
    body,
    el(
      "p",
      { class: "facts" },
      `${message.action} · now `,
      chip(message.status, tone(message.status)),
      ` · from ${message.from ?? "?"}`,
    ),
    el("ol", { class: "timeline", "aria-label": "Timeline" }, ...steps),
    el("p", { class: "facts id" }, message.message_id),
    message.send_at ? el("p", { class: "facts" }, `scheduled for ${message.send_at}`) : "",
    ["scheduled", "queued"].includes(message.status) ? button("Cancel", () => cancel(message.message_id)) : "",
  );
}

async function cancel(id) {
  const answer = await callApi("DELETE", `/messages/${encodeURIComponent(id)}`);
  announce(answer.status === 200 ? "Cancelled" : (answer.body?.detail ?? "Not cancelled"));
}
