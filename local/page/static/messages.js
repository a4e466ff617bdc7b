// All messages of the stack with their statuses, including those that other programs sent.

import { el, fill, find } from "/_page/static/js/dom.js";
import { dateAndTime, number, time, tone } from "/_page/static/js/format.js";
import { NewestFirst } from "/_page/static/js/newest-first.js";
import { chip, expandable } from "/_page/static/js/expandable.js";
import { read } from "/_page/static/js/server.js";
import { showMessage } from "./message.js";

const list = new NewestFirst({
  label: "Messages, newest first",
  empty: "No message yet. Send one above, or choose Try this.",
  make,
  update,
  order: (row) => row.id,
  key: (row) => row.message_id,
  older: (row) => read(`stack-messages?before=${row.id}`),
});

export function start(snapshot, isNew) {
  if (!list.node.isConnected) find("#panel-messages").append(list.node);
  if (isNew) list.replace(snapshot.stack_messages);
  else list.add(snapshot.stack_messages);
}

export function apply({ stack_messages: rows = [], events = [], skipped = {} }) {
  for (const row of rows.filter((each) => each.gone)) list.remove(row.message_id);
  list.add(rows.filter((each) => !each.gone), skipped.stack_messages ?? 0);
  // A timeline that is open may gain a receipt that leaves the status as it is.
  for (const { event } of events) list.rows.get(event.data.message_id)?.node.refill();
}

function make(row) {
  const line = el("span", { class: "line" });
  const item = expandable(line, (body) => showMessage(body, row.message_id, item.erasedAt));
  item.line = line;
  update(item, row);
  return item;
}

function update(item, row) {
  item.dataset.message = row.tracking_id ?? row.message_id;
  fill(
    item.line,
    chip(row.status, tone(row.status)),
    row.erased_at ? chip("erased", "plain") : null,
    el("strong", {}, recipient(row)),
    el("span", { class: "about" }, about(row)),
    el("time", { datetime: row.created_at }, time(row.created_at)),
  );
  item.erasedAt = row.erased_at;
  item.refill();
}

const recipient = (row) => (row.erased_at ? "no number" : number(row.to) || row.action);

function about(row) {
  if (row.status === "scheduled") return `goes at ${dateAndTime(row.send_at)}`;
  return row.client_reference ?? "";
}
