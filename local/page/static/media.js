// The files of an inbound MMS that the stack has kept.

import { el } from "/_page/static/js/dom.js";
import { read } from "/_page/static/js/server.js";

/** The kept files of an event, as elements. */
export async function keptFiles(eventId) {
  const path = `media/${encodeURIComponent(eventId)}`;
  let files;
  try {
    files = await read(path);
  } catch (error) {
    return [el("p", { class: "facts" }, error.message)];
  }
  if (!files) return [el("p", { class: "facts" }, "The stack has not kept these files yet.")];
  return [
    el("p", { class: "label" }, "Kept files"),
    el(
      "ul",
      { class: "kept", "aria-label": "Kept files" },
      ...files.map((file, place) => el("li", {}, keptFile(file, `/_page/${path}/${place}`))),
    ),
  ];
}

function keptFile(file, url) {
  if (file.error) return el("span", { class: "error" }, `${file.name}: ${file.error}`);
  const link = el("a", { href: url, target: "_blank" }, `${file.name} (${file.bytes} bytes)`);
  if (!file.is_picture) return link;
  const image = el("img", { src: url, alt: `Kept file ${file.name}` });
  image.addEventListener("error", () => image.remove());
  return el("span", {}, image, link);
}
