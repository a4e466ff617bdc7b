// Starts the page: fills its parts, then applies changes as they happen.

import { find, el } from "./dom.js";
import * as faults from "./faults.js";
import * as handsets from "./handsets.js";
import { highlightMessages } from "./highlight.js";
import { listen, read } from "./server.js";
import { showStatus } from "./status.js";
import * as traffic from "./traffic.js";

// A program may add a column: see skycore_simulator/page/extension.py.
const url = document.body.dataset.extension;
const extension = url ? await import(url) : null;
const parts = [handsets, traffic, ...(extension ? [extension] : [])];

let run = ""; // of the simulator: changes with a restart and with a reset
let openings = 0;
let held = null; // changes that arrive while the snapshot is being read

showNavigation();
highlightMessages(find("main"));
listen({ opened, apply, lost: () => showStatus("Connection lost; trying again…", "lost") });

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
  const isNew = snapshot.run !== run;
  run = snapshot.run;
  if (!extension) showStatus("The simulator is running", "up");
  for (const part of [...parts, faults]) part.start(snapshot, isNew);
  const later = held;
  held = null;
  later.forEach(apply);
}

function apply(changes) {
  if (changes.reset) opened();
  else if (held) held.push(changes);
  else for (const part of parts) part.apply(changes);
}

/** On a narrow screen one column is shown at a time. */
function showNavigation() {
  const columns = [...document.querySelectorAll("main > .column")];
  const buttons = columns.map((column) => {
    const label = find("h2", column).textContent;
    const choose = () => show(column.id);
    return el("button", { type: "button", "data-view": column.id, on: { click: choose } }, label);
  });
  find("nav.views").append(...buttons);
  const show = (id) => {
    columns.forEach((column, place) => {
      column.classList.toggle("current", column.id === id);
      if (column.id === id) buttons[place].setAttribute("aria-current", "true");
      else buttons[place].removeAttribute("aria-current");
    });
  };
  show((document.querySelector("main > .extension") ?? columns[0]).id);
}
