// The real clients of versions 10 and 11 against a running server, through every link, plain and with superjson.
//
//   node links.mjs <url of the server> <org id>
//
// Run `npm ci` in 10/ and 11/ first. The server must allow some hundred captures a minute from one address. Prints the
// leads that it sent as JSON, an `email`, a `name` and an `id` for each combination.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [server, org] = process.argv.slice(2);
const url = `${server}/api/trpc`;
const nobody = "00000000-0000-7000-8000-000000000000";
const id = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** What each link puts on the wire for two calls made at once. */
const WIRE = {
  http: { requests: 2 },
  batch: { requests: 1, answer: /^\[\{/ },
  stream: {
    10: { requests: 1, asks: ["trpc-batch-mode", "stream"], answer: /^\{"\d":\{.*\n,"\d":\{.*\n\}\n$/ },
    11: { requests: 1, asks: ["trpc-accept", "application/jsonl"], answer: /^\{("json":\{)?"0":\[\[/ },
  },
};

/** A client of one version over one link, and what it put on the wire. */
function client(version, link, wrapped) {
  const require = createRequire(new URL(`./${version}/package.json`, import.meta.url));
  const trpc = require("@trpc/client");
  const superjson = wrapped ? (require("superjson").default ?? require("superjson")) : undefined;
  const make = { http: trpc.httpLink, batch: trpc.httpBatchLink, stream: trpc.httpBatchStreamLink ?? trpc.unstable_httpBatchStreamLink }[link];
  const wire = [];
  const watched = async (input, options) => {
    const answer = await fetch(input, options);
    wire.push({ url: String(input), headers: new Headers(options.headers), answer: answer.clone().text() });
    return answer;
  };
  const { crm } =
    version === 10
      ? trpc.createTRPCProxyClient({ links: [make({ url, fetch: watched })], transformer: superjson })
      : trpc.createTRPCClient({ links: [make({ url, fetch: watched, transformer: superjson })] });
  return { crm, wire };
}

/** The call fails, and the client understands how. */
async function fails(call, code, status) {
  const error = await call.then(() => assert.fail(`should have been ${code}`), (error) => error);
  assert.deepEqual([error.name, error.data?.code, error.data?.httpStatus], ["TRPCClientError", code, status], error.message);
  return error.message;
}

/** Two calls made at once went over the wire as their link should send them. */
async function assertWire(wire, wanted) {
  assert.equal(wire.length, wanted.requests, wire.map((request) => request.url).join("\n"));
  for (const { url, headers, answer } of wire) {
    assert.equal(url.includes("batch=1"), wanted.requests === 1, url);
    if (wanted.asks) assert.equal(headers.get(wanted.asks[0]), wanted.asks[1]);
    if (wanted.answer) assert.match(await answer, wanted.answer);
  }
}

const sent = [];
for (const version of [10, 11]) {
  for (const link of ["http", "batch", "stream"]) {
    for (const wrapped of [false, true]) {
      const { crm, wire } = client(version, link, wrapped);
      const lastName = `V${version}-${link}-${wrapped ? "superjson" : "plain"}`;
      const lead = { orgId: org, firstName: "Trpc", lastName, email: `${lastName.toLowerCase()}@trpc.example`, source: "website" };
      // Sent at once, so that the batching links put both into one request.
      const [kept, message] = await Promise.all([
        crm.leads.capture.mutate(lead),
        fails(crm.leads.capture.mutate({ ...lead, email: "x", lastName: undefined }), "BAD_REQUEST", 400),
      ]);
      await assertWire(wire, WIRE[link][version] ?? WIRE[link]);
      assert.equal(kept.success, true);
      assert.match(kept.id, id);
      assert.deepEqual(JSON.parse(message).map((issue) => issue.path[0]), ["lastName", "email"]);
      assert.equal(await fails(crm.leads.capture.mutate({ ...lead, orgId: nobody }), "NOT_FOUND", 404), "Organisation not found");
      await fails(crm.nothing.query(), "NOT_FOUND", 404);
      await fails(crm.leads.capture.query(lead), "METHOD_NOT_SUPPORTED", 405);
      await fails(crm.leads.capture.mutate({ ...lead, message: "x".repeat(2_000_000) }), "PAYLOAD_TOO_LARGE", 413);
      sent.push({ email: lead.email, name: `Trpc ${lastName}`, id: kept.id });
    }
  }
}
console.log(JSON.stringify(sent));
