// Speaks to the page's server: reads, changes, and the stream of what happens.

async function asked(path, options) {
  const answer = await fetch(path, options);
  const text = await answer.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    throw new Error(`${path}: ${answer.status}`);
  }
  if (!answer.ok) throw new Error(found?.error ?? `${path}: ${answer.status}`);
  return found;
}

const json = (method, body) => ({
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const read = (path) => asked(`/_page/${path}`, { cache: "no-store" });
export const post = (path, body) => asked(`/_page/${path}`, json("POST", body));
export const upload = (path, file) => asked(`/_page/${path}`, { method: "POST", body: file });

export const change = (path, body) => asked(`/_page/${path}`, json("PATCH", body));

/** The simulator's own control API; what it reads out may hold the postback URL's token. */
export const control = {
  post: (path, body) => asked(`/_control/${path}`, json("POST", body)),
  change: (path, body) => asked(`/_control/${path}`, json("PATCH", body)),
};

/** Calls the product's API through the server, which signs. */
export async function callApi(method, path, body = undefined, headers = {}) {
  const answer = await post("call", { method, path, body, headers });
  let told = null;
  try {
    told = answer.body ? JSON.parse(answer.body) : null;
  } catch {
    told = answer.body;
  }
  return { ...answer, body: told };
}

/** Hears notes until the page closes; `opened` is called at each (re)connection. */
export function listen({ opened, note, lost }) {
  const stream = new EventSource("/_page/feed");
  stream.addEventListener("open", () => opened());
  stream.addEventListener("message", (event) => note(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost();
    // The browser tries again by itself, but not after an answer that it does not understand.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(() => listen({ opened, note, lost }), 1000);
    }
  });
}
