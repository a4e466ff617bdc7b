// Queue depths, the contents of dead-letter queues, and what is left of the limits.

import { button, el, fill, find } from "/_page/static/js/dom.js";
import { chip, expandable } from "/_page/static/js/expandable.js";
import { read } from "/_page/static/js/server.js";
import { code } from "/_page/static/js/code.js";

const EVERY_MS = 2000;
const MEANINGS = {
  EventQueue: "events for your service",
  PostbackQueue: "postbacks to be stored",
  SendQueue: "messages to be sent",
  PublishRetryQueue: "events to be published again",
};

let shown = false;
let timer = 0;

/** Polls while the panel is visible. */
export function setVisible(isShown) {
  shown = isShown;
  clearTimeout(timer);
  if (shown) poll();
}

async function poll() {
  if (!document.hidden) {
    try {
      draw(await read("queues"));
    } catch (error) {
      fill(find("#panel-queues"), el("p", { class: "empty" }, error.message));
      rows = null;
    }
  }
  if (shown) timer = setTimeout(poll, EVERY_MS);
}

let rows = null; // name → item; made once, so that an open item stays open

function draw({ queues, allowance }) {
  if (!rows) {
    rows = new Map(queues.map((queue) => [queue.name, make(queue)]));
    const items = (dead) =>
      queues.filter((q) => q.dead_letters === dead).map((q) => rows.get(q.name));
    fill(
      find("#panel-queues"),
      el("h3", {}, "Limits"),
      el("ul", { class: "limits", id: "limits" }),
      el("h3", {}, "Queues"),
      el("ul", { class: "rows queues" }, ...items(false)),
      el("h3", {}, "Dead-letter queues"),
      el("ul", { class: "rows queues" }, ...items(true)),
    );
  }
  queues.forEach((queue) => update(rows.get(queue.name), queue));
  limits(allowance);
}

function make(queue) {
  const line = el("span", { class: "line" });
  let item;
  if (queue.dead_letters) item = expandable(line, (body) => content(body, queue.name));
  else item = el("li", { class: "still" }, line);
  item.line = line;
  return item;
}

function update(item, queue) {
  const total = queue.waiting + queue.in_flight + queue.delayed;
  const parts = [
    queue.in_flight ? `${queue.in_flight} in flight` : "",
    queue.delayed ? `${queue.delayed} delayed` : "",
  ].filter(Boolean);
  const trouble = queue.dead_letters && total;
  fill(
    item.line,
    el("strong", {}, queue.name.replace("DeadLetterQueue", "")),
    el("span", { class: "about" }, parts.join(", ") || (MEANINGS[queue.name] ?? "")),
    chip(`${queue.waiting} waiting`, trouble ? "bad" : queue.waiting ? "busy" : "plain"),
  );
}

async function content(body, name) {
  const found = await read(`queues/${name}`);
  if (!found.length) {
    fill(body, el("p", { class: "facts" }, "It is empty."));
    return;
  }
  fill(
    body,
    el("p", { class: "facts" }, `The first ${found.length}; they stay in the queue.`),
    ...found.map((each) => code(each.body, "A dead letter")),
    button("Look again", () => content(body, name)),
  );
}

function limits(allowance) {
  const set = allowance.filter((each) => each.limit);
  const paused = allowance.filter((each) => each.paused_s > 0);
  fill(
    find("#limits"),
    ...(set.length
      ? set.map((each) =>
          el(
            "li",
            {},
            el("span", {}, `${each.left} of ${each.limit} calls left in this ${each.window}`),
            el("meter", {
              min: 0,
              max: each.limit,
              low: each.limit / 5,
              value: each.left,
              "aria-label": `Calls left in this ${each.window}`,
            }),
          ),
        )
      : [
          el("li", {}, 'No limits are set. To set one: make up PARAMETERS="MaxCallsPerMinute=10"'),
        ]),
    ...paused.map((each) =>
      el("li", { class: "warn" }, `Paused by Skycore for ${Math.ceil(each.paused_s)} s more`),
    ),
  );
}
