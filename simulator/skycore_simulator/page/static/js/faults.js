// The weather at Skycore: slow, down, throttling, resetting, half-answering.

import { el, find } from "./dom.js";
import { change as changeSettings, control } from "./server.js";

const SLIDERS = [
  { name: "slow", label: "Slow", unit: "s", max: 20, help: "seconds before each reply" },
  { name: "E106", label: "Throttling", unit: "%", max: 100, help: "refused with E106: too fast" },
  {
    name: "reset_before",
    label: "Reset, not taken",
    unit: "%",
    max: 100,
    help: "connection reset, the request ignored",
  },
  {
    name: "reset_after",
    label: "Reset, but taken",
    unit: "%",
    max: 100,
    help: "connection reset after the message was taken",
  },
  {
    name: "half",
    label: "Half-answering",
    unit: "%",
    max: 100,
    help: "half a reply, then nothing",
  },
];

const sliders = new Map();
const off = el("input", { type: "checkbox", id: "weather-off", role: "switch" });
const mode = el("select", { id: "weather-mode" });

export function start({ settings, line, modes }) {
  if (!sliders.size) build(modes);
  off.checked = line === false;
  off.disabled = line === null;
  mode.value = settings.mode;
  for (const { name } of SLIDERS) {
    const percent = settings.weather[name] ?? 0;
    set(name, name === "slow" && percent ? settings.slow_seconds : percent);
  }
  tell();
}

function build(modes) {
  const form = find("#weather-form");
  off.addEventListener("change", async () => {
    await control.change("line", { open: !off.checked });
    tell();
  });
  mode.append(el("option", { value: "normal" }, "as the weather has it"));
  for (const [name, { meaning }] of Object.entries(modes)) {
    mode.append(el("option", { value: name }, `${name.replaceAll("_", " ")}: ${meaning}`));
  }
  mode.addEventListener("change", change);
  form.append(
    el(
      "div",
      { class: "field check" },
      off,
      el("label", { for: off.id }, "Down: nobody listens, connections are refused"),
    ),
    ...SLIDERS.map(slider),
    el("div", { class: "field" }, el("label", { for: mode.id }, "Every reply"), mode),
    el("button", { type: "button", on: { click: clear } }, "Fair weather"),
  );
}

function slider({ name, label, unit, max, help }) {
  const id = `weather-${name}`;
  const input = el("input", {
    type: "range",
    id,
    min: 0,
    max,
    value: 0,
    "aria-describedby": `${id}-help`,
  });
  const value = el("output", { for: id });
  sliders.set(name, { input, value, unit });
  input.addEventListener("input", () => set(name, input.value));
  input.addEventListener("change", change);
  return el(
    "div",
    { class: "field slider" },
    el("label", { for: id }, label),
    input,
    value,
    el("p", { class: "help", id: `${id}-help` }, help),
  );
}

function set(name, number) {
  const { input, value, unit } = sliders.get(name);
  input.value = number;
  value.textContent = Number(number) ? `${number} ${unit}` : "off";
  input.setAttribute("aria-valuetext", value.textContent);
}

const numbers = () =>
  Object.fromEntries(SLIDERS.map(({ name }) => [name, Number(sliders.get(name).input.value)]));

async function change() {
  const { slow, ...shares } = numbers();
  const weather = Object.fromEntries(Object.entries(shares).filter(([, percent]) => percent));
  if (slow) weather.slow = 100; // last: what breaks a reply goes before what only delays it
  await changeSettings("settings", {
    weather,
    mode: mode.value,
    ...(slow ? { slow_seconds: slow } : {}),
  });
  tell();
}

async function clear() {
  for (const { name } of SLIDERS) set(name, 0);
  mode.value = "normal";
  off.checked = false;
  if (!off.disabled) await control.change("line", { open: true });
  await change();
}

function tell() {
  const parts = SLIDERS.filter(({ name }) => numbers()[name]).map(
    ({ name, label, unit }) => `${label.toLowerCase()} ${numbers()[name]} ${unit}`,
  );
  if (mode.value !== "normal") parts.push(mode.value.replaceAll("_", " "));
  if (off.checked) parts.unshift("Skycore is down");
  find("#weather-now").textContent = parts.join(", ") || "fair";
  find("#weather").classList.toggle("foul", parts.length > 0);
}
