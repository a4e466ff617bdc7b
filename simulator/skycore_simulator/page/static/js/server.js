// Requests to the page's server, and its stream of changes.

async function request(path, options) {
  const response = await fetch(path, options);
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new Error(`${path}: ${response.status}`);
  }
  if (!response.ok) throw new Error(body?.error ?? `${path}: ${response.status}`);
  return body;
}

const json = (method, body) => ({
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const read = (path) => request(`/_page/${path}`, { cache: "no-store" });
export const post = (path, body) => request(`/_page/${path}`, json("POST", body));
export const upload = (path, file) => request(`/_page/${path}`, { method: "POST", body: file });

export const change = (path, body) => request(`/_page/${path}`, json("PATCH", body));

/** The simulator's control routes. Only for changes: what they return may hold secrets. */
export const control = {
  post: (path, body) => request(`/_control/${path}`, json("POST", body)),
  change: (path, body) => request(`/_control/${path}`, json("PATCH", body)),
};

/** Receives changes until the page closes; `opened` is called at each (re)connection. */
export function listen({ opened, apply, lost }) {
  const stream = new EventSource("/_page/feed");
  stream.addEventListener("open", () => opened());
  stream.addEventListener("message", (event) => apply(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost();
    // The browser reconnects by itself, but not after a response that it does not understand.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(() => listen({ opened, apply, lost }), 1000);
    }
  });
}
