// The phone that is shown: its conversation, the outcome of its next messages, and its replies.

import { announce, button, el, fill, find } from "./dom.js";
import { number } from "./format.js";
import { bubble, draw } from "./bubble.js";
import { change, control, read, upload } from "./server.js";

const AT_FIRST = 50; // bubbles; older ones are loaded on request
const OUTCOMES = [
  ["", "Automatic"],
  ["delivered", "Delivered"],
  ["failed", "Failed"],
  ["expired", "Expired"],
  ["not_sent", "Blocked"],
  ["no_receipt", "Nothing (by hand)"],
];
const DEFAULT_SENDER = "60856";

let shown = ""; // the number
let bubbles = new Map(); // id → list item
let recipient = null; // the input with the number that a reply goes to
const screen = el("ol", { class: "screen", tabindex: "0" });
let atEnd = true; // whether the newest message is visible: then it stays visible
screen.addEventListener("scroll", () => {
  atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 80;
});
screen.addEventListener("load", toEnd, true); // a picture was loaded and takes room
const earlier = button("Show earlier", showEarlier, { class: "more", hidden: true });

export const isShown = (digits) => digits === shown;

/** Whether a reply is being written, or a control of the phone is in use. */
export const isInUse = () =>
  Boolean(find("#reply-text")?.value) || find("#phone").contains(document.activeElement);

export function hide() {
  shown = "";
}

/** Shows a handset. If it is shown already, keeps a half-written reply. */
export async function show(digits, outcome, replyNumber) {
  if (shown === digits) {
    find("#carrier").replaceWith(outcomeChoice(outcome));
  } else {
    shown = digits;
    bubbles = new Map();
    fill(screen);
    screen.setAttribute("aria-label", `Messages on ${number(digits)}`);
    const log = el("div", { class: "log", role: "log", "aria-label": "Conversation" }, screen);
    fill(find("#phone"), head(outcome), earlier, log, reply(replyNumber));
    atEnd = true;
  }
  const rows = await read(`handsets/${digits}`);
  if (shown !== digits) return;
  earlier.hidden = rows.length <= AT_FIRST;
  add(rows.slice(0, AT_FIRST).reverse());
}

/** Adds messages of this phone, new or changed ones. */
export function add(messages) {
  for (const message of messages) {
    const known = bubbles.get(message.id);
    if (known) draw(known, message);
    else {
      const made = bubble(message);
      made.messageId = message.id;
      bubbles.set(message.id, made);
      let before = screen.lastElementChild; // a newer one may be there already
      while (before && before.messageId > message.id) before = before.previousElementSibling;
      if (before) before.after(made);
      else screen.prepend(made);
    }
  }
  while (bubbles.size > AT_FIRST * 4 && atEnd) {
    const oldest = screen.firstElementChild;
    bubbles.delete(oldest.messageId);
    oldest.remove();
    earlier.hidden = false;
  }
  toEnd();
}

function toEnd() {
  if (atEnd) screen.scrollTop = screen.scrollHeight;
}

async function showEarlier() {
  const first = Math.min(...bubbles.keys());
  const rows = await read(`handsets/${shown}?before=${first}`);
  const height = screen.scrollHeight;
  atEnd = false; // what is being read stays visible
  add(rows.slice(0, AT_FIRST).reverse());
  screen.scrollTop += screen.scrollHeight - height;
  earlier.hidden = rows.length <= AT_FIRST;
}

/** The choice of what happens to the next messages to this number. */
function outcomeChoice(outcome) {
  const options = OUTCOMES.map(([value, label]) => el("option", { value }, label));
  const known = OUTCOMES.some(([value]) => value === outcome);
  if (!known) options.push(el("option", { value: outcome }, outcome.replaceAll("_", " ")));
  const select = el(
    "select",
    { id: "carrier", on: { change: () => setOutcome(select.value) } },
    ...options,
  );
  select.value = outcome;
  return select;
}

const head = (outcome) =>
  el(
    "div",
    { class: "phone-head" },
    el("h3", {}, number(shown)),
    el("label", { for: "carrier" }, "Next outcome"),
    outcomeChoice(outcome),
  );

async function setOutcome(outcome) {
  const { outcome_for_number: all } = await read("settings");
  if (outcome) all[shown] = outcome;
  else delete all[shown];
  await change("settings", { outcome_for_number: all });
}

function reply(replyNumber) {
  recipient = el("input", {
    id: "reply-to",
    value: replyNumber || DEFAULT_SENDER,
    autocomplete: "off",
    size: "6",
  });
  const text = el("textarea", {
    id: "reply-text",
    rows: "1",
    placeholder: "Reply as this person…",
  });
  const chosenName = el("span", {}, "Picture");
  const file = el("input", {
    type: "file",
    class: "sr",
    accept: "image/png,image/jpeg,image/gif",
    on: { change: () => (chosenName.textContent = file.files[0]?.name ?? "Picture") },
  });
  const said = el("p", { class: "error", role: "alert", hidden: true });
  const act = async (words, chosen) => {
    said.hidden = true;
    try {
      const message = { from: shown, to: recipient.value.trim(), text: words };
      if (chosen) message.files = [(await upload("pictures", chosen)).url];
      await control.post("inbound", message);
      announce("Sent from the handset");
      return true;
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
      return false;
    }
  };
  const submit = async (event) => {
    event.preventDefault();
    if (!text.value.trim() && !file.files.length) return;
    if (await act(text.value, file.files[0])) {
      text.value = "";
      file.value = "";
      chosenName.textContent = "Picture";
    }
  };
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  return el(
    "form",
    { class: "reply", "aria-label": "Reply from this handset", on: { submit } },
    el("label", { class: "sr", for: "reply-text" }, "Reply"),
    el(
      "div",
      { class: "reply-row" },
      text,
      el("button", { type: "submit", class: "main" }, "Reply"),
    ),
    el(
      "div",
      { class: "reply-row" },
      el("label", { for: "reply-to" }, "to"),
      recipient,
      el(
        "label",
        { class: "file", title: "A PNG, JPEG or GIF makes the reply an MMS" },
        file,
        chosenName,
      ),
      button("STOP", () => act("STOP")),
      button("START", () => act("START")),
    ),
    said,
  );
}

/** Sends replies to the number that wrote last. */
export function replyTo(from) {
  if (recipient && from && document.activeElement !== recipient) recipient.value = from;
}
