// The real clients of versions 10 and 11 against a running server, through every link, plain and with superjson.
//
//   node links.mjs <url of the server> <org id>
//
// Run `npm install` in 10/ and 11/ first. The server must allow some hundred captures a minute from one address.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [server, org] = process.argv.slice(2);
const url = `${server}/api/trpc`;
const jane = { orgId: org, firstName: "Jane", lastName: "Smith", email: "jane@example.com", source: "website" };
const nobody = "00000000-0000-7000-8000-000000000000";
const id = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A client of one version over one link. */
function client(version, link, wrapped) {
  const require = createRequire(new URL(`./${version}/package.json`, import.meta.url));
  const trpc = require("@trpc/client");
  const superjson = wrapped ? (require("superjson").default ?? require("superjson")) : undefined;
  const make = { http: trpc.httpLink, batch: trpc.httpBatchLink, stream: trpc.httpBatchStreamLink ?? trpc.unstable_httpBatchStreamLink }[link];
  return version === 10
    ? trpc.createTRPCProxyClient({ links: [make({ url })], transformer: superjson })
    : trpc.createTRPCClient({ links: [make({ url, transformer: superjson })] });
}

/** The call fails, and the client understands how. */
async function fails(call, code, status) {
  const error = await call.then(() => assert.fail(`should have been ${code}`), (error) => error);
  assert.deepEqual([error.name, error.data?.code, error.data?.httpStatus], ["TRPCClientError", code, status], error.message);
  return error.message;
}

let calls = 0;
for (const version of [10, 11]) {
  for (const link of ["http", "batch", "stream"]) {
    for (const wrapped of [false, true]) {
      const { crm } = client(version, link, wrapped);
      // Sent at once, so that the batching links put both into one request.
      const [kept, message] = await Promise.all([
        crm.leads.capture.mutate(jane),
        fails(crm.leads.capture.mutate({ ...jane, email: "x", lastName: undefined }), "BAD_REQUEST", 400),
      ]);
      assert.equal(kept.success, true);
      assert.match(kept.id, id);
      assert.deepEqual(JSON.parse(message).map((issue) => issue.path[0]), ["lastName", "email"]);
      assert.equal(await fails(crm.leads.capture.mutate({ ...jane, orgId: nobody }), "NOT_FOUND", 404), "Organisation not found");
      await fails(crm.nothing.query(), "NOT_FOUND", 404);
      await fails(crm.leads.capture.query(jane), "METHOD_NOT_SUPPORTED", 405);
      await fails(crm.leads.capture.mutate({ ...jane, message: "x".repeat(2_000_000) }), "PAYLOAD_TOO_LARGE", 413);
      calls += 6;
    }
  }
}
console.log(`${calls} calls answered as they should be`);
