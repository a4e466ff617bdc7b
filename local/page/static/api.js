// Calls to the product's API, through the page's server, which signs them.

import { post } from "/_page/static/js/server.js";

/** Calls the API; returns {status, seconds, headers, body} with the body parsed. */
export async function callApi(method, path, body = undefined, headers = {}) {
  const answer = await post("call", { method, path, body, headers });
  try {
    return { ...answer, body: answer.body ? JSON.parse(answer.body) : null };
  } catch {
    return answer; // the body is not JSON
  }
}
