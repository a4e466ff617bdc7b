import { AwsClient } from "aws4fetch";
import createClient from "openapi-fetch";
import type { components, paths } from "./skycore-api.js";

export type Problem = components["schemas"]["Problem"];

/** Returns a client of the stack at `baseUrl`, its output ApiUrl. In Lambda the environment has the keys. */
export function skycoreClient(baseUrl: string, region = process.env.AWS_REGION, keys = process.env) {
  const aws = new AwsClient({
    accessKeyId: keys.AWS_ACCESS_KEY_ID!,
    secretAccessKey: keys.AWS_SECRET_ACCESS_KEY!,
    sessionToken: keys.AWS_SESSION_TOKEN,
    service: "execute-api",
    region,
    retries: 0,
  });

  async function signedFetch(request: Request): Promise<Response> {
    const repeatable = request.method !== "POST" || request.headers.has("Idempotency-Key");
    const end = Date.now() + 60_000;
    for (let pause = 500; ; pause = Math.min(2 * pause, 8_000)) {
      const timeout = { signal: AbortSignal.timeout(30_000) };
      const answer = await aws.fetch(request.clone(), timeout).catch((error: unknown) => {
        if (!repeatable || Date.now() + pause > end) throw error;
      });
      if (answer?.ok) return answer;
      const body: Partial<Problem> = await answer?.clone().json().catch(() => ({})) ?? {};
      const crashed = (body.code ?? "gateway_failure") === "gateway_failure" && (answer?.status ?? 500) >= 500;
      const again = (body.retryable && body.code !== "skycore_rejected") || (repeatable && crashed);
      const wait = Math.max(pause, 1000 * Number(answer?.headers.get("Retry-After") ?? 0));
      if (answer && (!again || Date.now() + wait > end)) return answer;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  return createClient<paths>({ baseUrl, fetch: signedFetch });
}
