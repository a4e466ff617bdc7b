// A walk through the guarantees: what to do, and what to see.

import { applyPreset } from "/_page/static/js/faults.js";
import { button, el, fill, find } from "/_page/static/js/dom.js";
import { fillIn } from "./send.js";

const in3Minutes = () => new Date(Date.now() + 180_000).toISOString().replace(/\.\d+/, "");
const to = (number) => () => fillIn("sendSMS", { to: number });

const STEPS = [
  {
    title: "Send twice",
    text: "Press Send twice. The second answer is a replay, and Traffic shows one request.",
  },
  {
    title: "Opt out",
    text: "Press STOP on the phone, then send a new message: 422 recipient_opted_out. START undoes it.",
  },
  {
    title: "Skycore is down",
    text: "Send: 503, and nothing was sent. Check Queue it and send: the message goes once Skycore is back.",
    act: ["Take Skycore down", () => applyPreset("Down")],
  },
  {
    title: "No answer",
    text: "Send to this number: Skycore accepts it and never answers. The message is unknown and is never repeated.",
    act: ["Use +1 500 555 0102", to("+1 500 555 0102")],
  },
  {
    title: "A failure",
    text: "Send to this number: the carrier reports a failure, and the message is failed.",
    act: ["Use +1 500 555 0002", to("+1 500 555 0002")],
  },
  {
    title: "Flaky postbacks",
    text: "Send: each postback comes twice, in any order. Events shows each once, and the status is right.",
    act: ["Make postbacks flaky", () => applyPreset("Flaky postbacks")],
  },
  {
    title: "Later",
    text: "Send: the message is scheduled. Open it in Messages to cancel it.",
    act: ["Send in three minutes", () => fillIn("sendSMS", { send_at: in3Minutes() })],
  },
  {
    title: "Erase a person",
    text: 'Run make person ARGUMENTS="erase +17743199144". Messages keep their status and lose the number.',
  },
];

export function start() {
  const rows = STEPS.map(({ title, text, act }) =>
    el(
      "li",
      {},
      el("strong", {}, title),
      el("p", { class: "facts" }, text),
      act ? button(...act) : null,
    ),
  );
  fill(
    find("#panel-try"),
    el("ol", { class: "steps" }, ...rows),
    el("p", { class: "facts last" }, button("Clear all faults", () => applyPreset(null))),
  );
}
