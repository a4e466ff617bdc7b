// Starts the page: fills its parts, then passes on what happens.

import { find } from "./dom.js";
import * as events from "./events.js";
import * as handsets from "./handsets.js";
import * as messages from "./messages.js";
import * as queues from "./queues.js";
import * as send from "./send.js";
import { listen, read } from "./server.js";
import { tabs } from "./tabs.js";
import * as weather from "./weather.js";
import * as wire from "./wire.js";

const parts = [handsets, wire, events, messages];

tabs(find(".tabs"), (panel) => queues.look(panel === "panel-queues"));
views();
send.start();
listen({ opened, note, lost: () => state("Connection lost; trying again…", "lost") });

let run = ""; // of the simulator: another after a restart and after a reset
let openings = 0;
let held = null; // notes that come while what they add to is on its way

async function opened() {
  const own = ++openings;
  held = [];
  let snapshot;
  try {
    snapshot = await read("start");
  } catch {
    setTimeout(() => own === openings && opened(), 1000);
    return;
  }
  if (own !== openings) return;
  const anew = snapshot.run !== run;
  run = snapshot.run;
  for (const part of [...parts, weather]) part.start(snapshot, anew);
  stack(snapshot.stack);
  const later = held;
  held = null;
  later.forEach(note);
}

function note(told) {
  if (told.reset) {
    opened();
    return;
  }
  if (held) {
    held.push(told);
    return;
  }
  for (const part of parts) part.note(told);
  if (told.stack) stack(told.stack[0]);
}

function stack(told) {
  send.setStack(told);
  const notice = find("#notice");
  notice.hidden = !told.up || told.simulator_is_used;
  if (!told.up) {
    state("The stack is coming up…", "waiting");
    return;
  }
  state("The stack is up", "up");
  if (!told.simulator_is_used) {
    notice.textContent =
      `The functions call another Skycore (${told.parameters.SkycoreUrl}), so handsets, wire and ` +
      "weather are quiet. Your side shows everything.";
  }
}

function state(text, name) {
  const shown = find("#stack-state");
  if (shown.textContent !== text) shown.textContent = text;
  shown.dataset.state = name;
}

/** On a narrow screen one part is seen at a time. */
function views() {
  const all = document.querySelectorAll("nav.views button");
  for (const each of all) {
    each.addEventListener("click", () => {
      document.body.dataset.view = each.dataset.view;
      for (const other of all) {
        if (other === each) other.setAttribute("aria-current", "true");
        else other.removeAttribute("aria-current");
      }
    });
  }
}
