// One message on a handset's screen.

import { announce, button, el, fill } from "./dom.js";
import { time, tone } from "./format.js";
import { chip } from "./expandable.js";
import { control } from "./server.js";

const PICTURE = /\.(png|jpe?g|gif|webp)(\?.*)?$/i;
const LINKS = ["AUDIO", "VIDEO", "VCARD", "ICAL", "PDF", "PASSBOOK"];
const OPEN = ["accepted", "sent", "encoded"]; // the carrier may still report an outcome
const REPORTS = {
  sms: {
    Delivered: ["N202", "Message Sent/Delivered"],
    Failed: ["E202", "Message Sent/Failed"],
    Expired: ["E202", "Message Sent/Expired"],
    Blocked: ["E201", "Message Failed"],
  },
  mms: {
    Delivered: ["N102", "Message Sent/Delivered"],
    Failed: ["E102", "Message Sent/Failed"],
    Expired: ["E102", "Message Sent/Expired"],
    Blocked: ["E101", "Message Failed"],
  },
};

/** Makes a list item for a message; `draw` updates it. */
export function bubble(message) {
  const item = el("li", { class: `bubble ${message.direction}` });
  draw(item, message);
  return item;
}

export function draw(item, message) {
  item.dataset.message = message.tracking_id;
  const out = message.direction === "out";
  fill(
    item,
    ...(message.discovery ? [discovery(message.discovery)] : []),
    el("div", { class: "says" }, ...(message.fallback ? fallback(message) : content(message))),
    el(
      "p",
      { class: "under" },
      el("span", {}, out ? `from ${message.from}` : `to ${message.to}`),
      el("time", { datetime: message.time }, time(message.time)),
      out ? chip(message.status, tone(message.status)) : null,
    ),
    ...(out && OPEN.includes(message.status) ? [outcomeButtons(message)] : []),
  );
}

const discovery = ({ title, text }) =>
  el(
    "div",
    { class: "says discovery" },
    el("p", { class: "kind" }, "Device discovery"),
    el("strong", {}, title || "Device Discovery"),
    el("p", {}, text ?? ""),
  );

function fallback(message) {
  return [
    el("p", { class: "kind" }, "SMS instead of an MMS, which this phone cannot show"),
    el("p", {}, ...linked(message.fallback)),
  ];
}

function content(message) {
  const parts = [];
  if (message.subject) parts.push(el("strong", {}, message.subject));
  message.slides.forEach((slide, place) => parts.push(...slideParts(slide, place + 1)));
  for (const file of message.files) {
    if (PICTURE.test(file)) parts.push(picture(file, "Picture in the reply"));
    else if (!file.endsWith("/text.txt")) parts.push(el("p", {}, link(file, fileName(file))));
  }
  if (message.text) parts.push(el("p", {}, ...linked(message.text)));
  return parts.length ? parts : [el("p", {}, "(empty)")];
}

function slideParts(slide, place) {
  const parts = [];
  if (slide.IMAGE) parts.push(picture(slide.IMAGE, `Picture of slide ${place}`));
  for (const kind of LINKS) {
    if (slide[kind])
      parts.push(el("p", {}, `${kind.toLowerCase()}: `, link(slide[kind], fileName(slide[kind]))));
  }
  if (slide.PERSONALIZEDIMAGE)
    parts.push(el("p", {}, `personalised picture ${slide.PERSONALIZEDIMAGE}`));
  if (slide.TEXT) parts.push(el("p", {}, ...linked(slide.TEXT)));
  return parts;
}

function picture(url, alt) {
  const image = el("img", { src: url, alt, loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(el("p", {}, link(url, fileName(url)))));
  return image;
}

const fileName = (url) => url.split("/").pop() || url;
const safe = (url) => /^https?:\/\//i.test(url);
const link = (url, label) =>
  safe(url)
    ? el("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, label)
    : el("span", {}, label);

/** Text with its web addresses as links. */
const linked = (text) =>
  text.split(/(https?:\/\/\S+)/).map((part) => (safe(part) ? link(part, part) : part));

function outcomeButtons(message) {
  const reports = REPORTS[message.kind] ?? {};
  return el(
    "div",
    { class: "by-hand", role: "group", "aria-label": "The carrier reports" },
    ...Object.entries(reports).map(([label, [code, status]]) =>
      button(label, async () => {
        const { tracking_id, to } = message;
        await control.post("notify", { tracking_id, to, code, status });
        announce(`The carrier reports: ${label}`);
      }),
    ),
  );
}
