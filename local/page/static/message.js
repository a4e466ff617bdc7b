// One message as the API returns it: its timeline, why it is unknown, and its possible matches.

import { announce, button, el, fill } from "/_page/static/js/dom.js";
import { dateAndTime, number, time, tone } from "/_page/static/js/format.js";
import { chip } from "/_page/static/js/expandable.js";
import { callApi } from "./api.js";

const FAILED = /fail|reject|expire|not.?supported|unknown/i;

/** Fills `body` with the message. `erasedAt`: when its recipient's data was erased, if it was. */
export async function showMessage(body, id, erasedAt) {
  let answer;
  try {
    answer = await callApi("GET", `/messages/${encodeURIComponent(id)}`);
  } catch (error) {
    fill(body, el("p", { class: "facts" }, error.message));
    return;
  }
  if (answer.status !== 200) {
    fill(body, el("p", { class: "facts" }, answer.body?.detail ?? `HTTP ${answer.status}`));
    return;
  }
  const message = answer.body;
  const isWaiting = ["scheduled", "queued"].includes(message.status);
  fill(
    body,
    el(
      "p",
      { class: "facts" },
      `${message.action} · now `,
      chip(message.status, tone(message.status)),
      message.from ? ` · from ${message.from}` : "",
    ),
    message.send_at ? fact(`Scheduled for ${dateAndTime(message.send_at)}`) : null,
    erasedAt ? fact(`The recipient's data was erased at ${dateAndTime(erasedAt)}.`) : null,
    message.detail ? fact(`Detail: ${message.detail}`, "detail") : null,
    ...(message.possible_match ? possibleMatches(message) : []),
    el(
      "ol",
      { class: "timeline", "aria-label": "Timeline" },
      ...message.timeline.map((step) => timelineStep(step, message)),
    ),
    el("p", { class: "facts id" }, message.message_id),
    isWaiting ? button("Cancel", () => cancel(message.message_id)) : null,
  );
}

const fact = (text, name = "") => el("p", { class: `facts ${name}` }, text);

function timelineStep(step, message) {
  const began = new Date(message.created_at).getTime();
  const after = (new Date(step.received_at ?? step.time).getTime() - began) / 1000;
  return el(
    "li",
    {},
    el("span", { class: "after" }, `${after.toFixed(2)} s`),
    el("span", {}, step.event.replaceAll("_", " ")),
    step.code ? chip(step.code, toneOf(step)) : null,
    el("span", { class: "about" }, step.status ?? ""),
  );
}

/** STATUS may contradict the code: N202 with "Failed" is a failure. */
function toneOf({ event, status }) {
  if (FAILED.test(`${event} ${status ?? ""}`)) return "bad";
  return event.endsWith("_delivered") ? "good" : "plain";
}

/** Receipts that may belong to a message of unknown outcome. */
function possibleMatches({ message_id: id, possible_match: matches, to }) {
  const rows = matches.map((match) =>
    el(
      "li",
      { "data-message": match.tracking_id },
      el("span", {}, time(match.time)),
      el("span", {}, match.event.replaceAll("_", " ")),
      el("span", { class: "about" }, match.tracking_id),
    ),
  );
  return [
    el("p", { class: "label" }, `Possible matches (${matches.length})`),
    matches.length
      ? el("ul", { class: "timeline matches", "aria-label": "Possible matches" }, ...rows)
      : null,
    fact(
      matches.length
        ? `These receipts to ${number(to)} belong to no other message. Any of them may be this one's.`
        : `No receipt to ${number(to)} without a message has arrived.`,
    ),
    fact(`Skycore may have sent it. Record what you find out: make resolve ARGUMENTS="${id} --sent"`),
  ];
}

async function cancel(id) {
  const answer = await callApi("DELETE", `/messages/${encodeURIComponent(id)}`);
  announce(answer.status === 200 ? "Cancelled" : (answer.body?.detail ?? "Not cancelled"));
}
