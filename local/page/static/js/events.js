// The right: events as the subscriber's queue gives them.

import { el, fill, find } from "./dom.js";
import { number, time, tone } from "./format.js";
import { NewestFirst } from "./newest-first.js";
import { chip, opening } from "./opening.js";
import { read } from "./server.js";
import { code } from "./xml.js";

const list = new NewestFirst({
  label: "Events, newest first",
  empty: "No event yet. They appear here from a queue of this page's own; yours keeps its copies.",
  make,
  update,
  order: (row) => row.id,
  older: (row) => read(`events?before=${row.id}`),
});

export function start(snapshot) {
  if (!list.node.isConnected) find("#panel-events").append(list.node);
  list.replace(snapshot.events);
}

export function note({ events = [], skipped = {} }) {
  list.add(events, skipped.events ?? 0);
}

function make(row) {
  const line = el("span", { class: "line" });
  const item = opening(line, (body) => {
    fill(body, code(JSON.stringify(row.event, null, 2), "The event"));
  });
  item.line = line;
  update(item, row);
  return item;
}

function update(item, row) {
  const { type, time: at, data } = row.event;
  const who = data.origin?.endsWith("_MO") ? data.from : data.to;
  fill(
    item.line,
    el("strong", {}, type.replace("skycore.", "")),
    el("span", { class: "about" }, data.text ?? number(who ?? data.mobile ?? "")),
    row.copies > 1 ? chip(`came ${row.copies} times`, "plain") : "",
    chip(data.code ?? data.outcome ?? "", data.code ? tone(data.outcome) : "plain"),
    el("time", { datetime: at }, time(at)),
  );
}
