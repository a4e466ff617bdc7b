// The handsets: one for each number that was sent to or replied from.

import { el, fill, find } from "./dom.js";
import { number, time } from "./format.js";
import { NewestFirst } from "./newest-first.js";
import * as phone from "./phone.js";
import { read } from "./server.js";

const NO_PHONE = el(
  "p",
  { class: "empty" },
  "Choose a handset above, or type a number to open a new one.",
);
let newest = new Map(); // number → its newest message that is known here
const KEPT = 1000;
let chosen = "";
let byHand = false; // a person opened the phone: it stays until they send to another number
let words = "";
let lastSeen = 0; // the newest message's id

const list = new NewestFirst({
  label: "Handsets, last used first",
  empty: "No handset yet. Send a message, and its recipient appears here.",
  make,
  update,
  order: (row) => row.id,
  key: (row) => row.handset,
});

export function start(snapshot, isNew = false) {
  if (!list.node.isConnected) {
    find("#handset-list").replaceWith(list.node);
    list.node.id = "handset-list";
    find("#handset-find").addEventListener("submit", (event) => {
      event.preventDefault();
      const digits = find("#handset-number").value.replace(/\D/g, "");
      if (digits) openByHand(digits);
    });
    find("#handset-number").addEventListener("input", search);
  }
  if (isNew) {
    chosen = "";
    byHand = false;
    phone.hide();
    fill(find("#phone"), NO_PHONE);
  }
  newest = new Map(snapshot.handsets.map((row) => [row.handset, row]));
  lastSeen = Math.max(0, ...snapshot.handsets.map((row) => row.id));
  if (words) search();
  else list.replace(snapshot.handsets);
  if (chosen) open(chosen);
  else if (snapshot.handsets.length) open(snapshot.handsets[0].handset);
}

export function apply({ messages = [], skipped = {} }) {
  if (skipped.messages) readAgainSoon();
  const phones = messages.filter((each) => each.kind === "sms" || each.kind === "mms");
  if (!phones.length) return;
  for (const row of phones) {
    if (row.id >= (newest.get(row.handset)?.id ?? 0)) newest.set(row.handset, row);
  }
  while (newest.size > KEPT) newest.delete(newest.keys().next().value);
  const changed = [...new Set(phones.map((row) => row.handset))];
  const fitting = changed.filter((digits) => digits.includes(words) && newest.has(digits));
  list.add(fitting.map((digits) => newest.get(digits)));
  const recipient = newRecipient(phones);
  if (!chosen) open(phones[0].handset);
  else if (recipient && !byHand && !phone.isInUse()) open(recipient);
  else {
    const own = phones.filter((row) => phone.isShown(row.handset));
    phone.add(own);
    const latest = own.filter((row) => row.direction === "out").at(-1);
    if (latest) phone.replyTo(latest.from);
  }
}

/** The one other phone that new messages went to; null if there are several, as in a burst. */
function newRecipient(phones) {
  const sent = phones.filter((row) => row.direction === "out" && row.id > lastSeen);
  lastSeen = Math.max(lastSeen, ...phones.map((row) => row.id));
  const recipients = new Set(sent.map((row) => row.handset));
  return recipients.size === 1 && !recipients.has(chosen) ? sent[0].handset : null;
}

let reading = 0;

/** Reads again after changes were skipped: some may be messages of the phone that is shown. */
function readAgainSoon() {
  clearTimeout(reading);
  reading = setTimeout(async () => start({ handsets: await read("handsets") }), 500);
}

/** Shows the phone that a message is sent to, and then those of other new messages. */
export async function follow(digits) {
  byHand = false;
  if (digits !== chosen) await open(digits);
}

function openByHand(digits) {
  byHand = true;
  return open(digits);
}

async function open(digits) {
  chosen = digits;
  for (const { node, row } of list.rows.values()) mark(node, row);
  const row = newest.get(digits);
  const { outcome_for_number: outcomes } = await read("settings");
  if (chosen !== digits) return;
  const sender = row ? (row.direction === "out" ? row.from : row.to) : "";
  await phone.show(digits, outcomes[digits] ?? "", sender);
}

async function search() {
  const wanted = find("#handset-number").value.replace(/\D/g, "");
  words = wanted;
  const found = await read(`handsets?q=${wanted}`);
  if (words === wanted) list.replace(found);
}

function make(row) {
  const node = el("li", {});
  update(node, row);
  return node;
}

function update(node, row) {
  const said = row.text || row.subject || row.slides.find((slide) => slide.TEXT)?.TEXT || "MMS";
  const had = node.contains(document.activeElement);
  fill(
    node,
    el(
      "button",
      { type: "button", on: { click: () => openByHand(row.handset) } },
      el("strong", {}, number(row.handset)),
      el("time", { datetime: row.time }, time(row.time)),
      el("span", { class: "about" }, `${row.direction === "in" ? "↩ " : ""}${said}`),
    ),
  );
  node.dataset.message = row.tracking_id;
  mark(node, row);
  if (had) node.firstChild.focus();
}

function mark(node, row) {
  const on = row.handset === chosen;
  node.firstChild.setAttribute("aria-current", String(on));
}
