// The request as curl and Python, to copy.

const inShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A command line that reads the keys from the stack's file. */
export function curl({ path, body, headers }, file) {
  const given = Object.entries(headers).map(
    ([name, value]) => `  -H ${inShell(`${name}: ${value}`)} \\\n`,
  );
  return `get() { sed -n "s/.*\\"$1\\": \\"\\(.*\\)\\".*/\\1/p" ${inShell(file)}; }
curl --aws-sigv4 "aws:amz:$(get region):execute-api" \\
  --user "$(get access_key_id):$(get secret_access_key)" \\
  -H 'Content-Type: application/json' \\
${given.join("")}  "$(get api_url)${path}" \\
  -d ${inShell(JSON.stringify(body))}
`;
}

/** A program; it needs boto3 and requests. */
export function python({ path, body, headers }, file) {
  const all = { "Content-Type": "application/json", ...headers };
  return `import json, boto3, requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

stack = json.load(open(${literal(file)}))
session = boto3.Session(stack["access_key_id"], stack["secret_access_key"])
body = json.dumps(${literal(body)})
headers = ${literal(all)}
request = AWSRequest("POST", stack["api_url"] + ${literal(path)}, data=body, headers=headers)
SigV4Auth(session.get_credentials(), "execute-api", stack["region"]).add_auth(request)
answer = requests.post(request.url, data=body, headers=dict(request.headers), timeout=35)
print(answer.status_code, answer.json())
`;
}

/** A value as a Python literal. */
function literal(value, indent = "") {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  if (Array.isArray(value)) {
    return `[${value.map((each) => literal(each, indent)).join(", ")}]`;
  }
  const rows = Object.entries(value).map(
    ([name, each]) => `${deeper}${JSON.stringify(name)}: ${literal(each, deeper)},\n`,
  );
  return rows.length ? `{\n${rows.join("")}${indent}}` : "{}";
}
