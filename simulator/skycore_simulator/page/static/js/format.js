// Times, numbers and statuses in words.

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});

export const time = (text) => {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? "" : clock.format(moment);
};

const calendar = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
});

export const dateAndTime = (text) => {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? "" : calendar.format(moment);
};

/** +1 774 319 9144 for North America; others as they are, with a plus. */
export function number(digits) {
  if (!/^\d{7,}$/.test(digits ?? "")) return digits ?? "";
  const american = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  return american ? `+1 ${american[1]} ${american[2]} ${american[3]}` : `+${digits}`;
}

const TONES = {
  good: ["delivered", "success"],
  bad: ["failed", "rejected", "expired", "failure", "unknown", "notsupported", "unparsed"],
  busy: ["scheduled", "queued", "sending", "accepted", "sent", "encoded"],
};

/** good, bad, busy or plain: how a status looks. A code alone has no tone: N202 may be a failure. */
export function tone(word) {
  const plain = String(word ?? "").toLowerCase();
  return Object.keys(TONES).find((name) => TONES[name].includes(plain)) ?? "plain";
}
