// Events, as a subscriber's queue receives them.

import { el, fill, find } from "/_page/static/js/dom.js";
import { number, time, tone } from "/_page/static/js/format.js";
import { NewestFirst } from "/_page/static/js/newest-first.js";
import { chip, expandable } from "/_page/static/js/expandable.js";
import { read } from "/_page/static/js/server.js";
import { code } from "/_page/static/js/code.js";
import { keptFiles } from "./media.js";

const HAS_FILES = ["mms_received", "media_kept"];

const list = new NewestFirst({
  label: "Events, newest first",
  empty: "No event yet. The page reads them from a queue of its own; your queue keeps its copies.",
  make,
  update,
  order: (row) => row.id,
  older: (row) => read(`events?before=${row.id}`),
});

export function start(snapshot) {
  if (!list.node.isConnected) find("#panel-events").append(list.node);
  list.replace(snapshot.events);
}

export function apply({ events = [], skipped = {} }) {
  list.add(events, skipped.events ?? 0);
}

function make(row) {
  const line = el("span", { class: "line" });
  const item = expandable(line, (body) => {
    const event = code(JSON.stringify(row.event, null, 2), "The event");
    fill(body, event);
    if (HAS_FILES.includes(row.event.data.event)) showFiles(body, event, row.event.id);
  });
  item.line = line;
  update(item, row);
  return item;
}

async function showFiles(body, event, id) {
  const files = await keptFiles(id);
  if (event.isConnected) body.prepend(...files);
}

function update(item, row) {
  const { type, time: at, data } = row.event;
  const who = data.origin?.endsWith("_MO") ? data.from : data.to;
  item.dataset.message = data.tracking_id ?? data.transaction_id ?? data.message_id ?? "";
  fill(
    item.line,
    el("strong", {}, type.replace("skycore.", "")),
    el("span", { class: "about" }, `${number(who ?? data.mobile ?? "")} ${data.text ?? ""}`),
    row.copies > 1 ? chip(`received ${row.copies} times`, "plain") : "",
    chip(data.code ?? data.outcome ?? "", data.code ? tone(data.outcome) : "plain"),
    el("time", { datetime: at }, time(at)),
  );
}
