// The column "Your side": what a service of the user's sends through the local stack and receives.

import { find } from "/_page/static/js/dom.js";
import { showNotice, showStatus } from "/_page/static/js/status.js";
import * as events from "./events.js";
import * as messages from "./messages.js";
import * as queues from "./queues.js";
import * as send from "./send.js";
import { tabs } from "./tabs.js";
import * as tryThis from "./try-this.js";

let urls = []; // the simulator's own addresses

find(".skip").href = "#send";
find(".skip").textContent = "Skip to the send form";
tabs(find(".tabs"), (panel) => queues.setVisible(panel === "panel-queues"));
send.start();
tryThis.start();

export function start(snapshot, isNew) {
  urls = snapshot.urls;
  events.start(snapshot);
  messages.start(snapshot, isNew);
  showStack(snapshot.stack);
}

export function apply(changes) {
  events.apply(changes);
  messages.apply(changes);
  if (changes.stack) showStack(changes.stack[0]);
}

function showStack(stack) {
  send.setStack(stack);
  if (stack.up) showStatus("The stack is up", "up");
  else showStatus("The stack is coming up…", "waiting");
  const other = stack.up && !urls.includes(stack.parameters.SkycoreUrl);
  showNotice(
    other
      ? `The functions call another Skycore (${stack.parameters.SkycoreUrl}), so handsets, traffic ` +
          "and faults have no effect. Your side shows everything."
      : null,
  );
}
