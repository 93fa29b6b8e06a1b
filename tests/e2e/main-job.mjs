// A lead that comes in by any door ends as an enriched, scored lead, a notification of its rep and a mail to them.
//
//   LEADMILL=target/debug/leadmill node main-job.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { postForm } from "./browser/form.mjs";
import { pages } from "./browser/pages.mjs";
import { eventually, start } from "./dev.mjs";
import { notifications, signIn } from "./person.mjs";

const run = promisify(execFile);
const REPS = { "Mira Rep": "mira@demo.example", "Jonas Rep": "jonas@demo.example" };

// What the documentation of the capture endpoint says to send, host and org left open.
const DOCUMENTED = `POST /api/trpc/crm.leads.capture
Content-Type: application/json

{
  "orgId": "<your-org-id>",
  "firstName": "Jane",
  "lastName": "Smith",
  "email": "jane@example.com",
  "source": "website"
}`;

const data = await mkdtemp(join(tmpdir(), "leadmill-e2e-"));
const remove = () => rm(data, { recursive: true, force: true });
// As root the database belongs to another user: where that one cannot enter it would be kept elsewhere, and stay.
await chmod(data, 0o755);
const dev = await start(data, ["--set", "intake.per_ip_per_minute=100000", "--set", "intake.per_ip_burst=10000"]).catch(async (error) => {
  await remove();
  throw error;
});
const { url, org_id: org, form_token: token, api_key: key } = dev.ready;

async function api(path) {
  const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

/** Sends a documented request by curl as it stands. */
async function curl(documented) {
  const [head, body] = documented.replace("<your-org-id>", org).split("\n\n");
  const [line, ...headers] = head.split("\n");
  const [method, path] = line.split(" ");
  const args = ["-sS", "-X", method, `${url}${path}`, ...headers.flatMap((header) => ["-H", header]), "-d", body];
  const { stdout } = await run("curl", args);
  const { data } = JSON.parse(stdout).result;
  assert.equal(data.success, true, stdout);
}

/** The reps, signed in, by name. */
const people = {};

/** The lead is enriched, scored because of that, somebody's, and that somebody has a notification and a mail about it. */
async function told({ email, name }) {
  const lead = await eventually(`the scored lead ${email}`, async () => {
    const { items } = await api(`/api/v1/leads?q=${encodeURIComponent(email)}`);
    return items.find((lead) => lead.email === email && lead.enrichment_status === "done" && lead.score !== null && lead.assigned_to);
  });
  const { id } = lead;
  assert.ok(lead.job_title, `the provider told a job title of ${email}`);
  const { items: scores } = await api(`/api/v1/leads/${id}/scores`);
  assert.deepEqual([scores[0].trigger, scores[0].score], ["enrichment", lead.score], email);
  assert.equal(scores[0].factors.reduce((sum, factor) => sum + factor.points, 0), lead.score, email);

  const { items: timeline } = await api(`/api/v1/leads/${id}/timeline`);
  const assigned = timeline.find((entry) => entry.type === "assignment");
  const rep = Object.keys(REPS).find((name) => assigned?.description.includes(name));
  assert.ok(rep, `${email} is given to a rep: ${JSON.stringify(assigned)}`);
  await eventually(`a notification of ${rep} about ${name}`, async () => (await notifications(people[rep])).some((title) => title.endsWith(`: ${name}`)));
  await eventually(`a mail to ${rep} about ${email}`, async () => {
    const mails = await (await fetch(`${url}/dev/mail.json`)).json();
    return mails.some((mail) => mail.to.includes(REPS[rep]) && mail.text?.includes(id) && mail.html?.includes(id));
  });
  return { id, rep };
}

try {
  for (const [name, email] of Object.entries(REPS)) people[name] = await signIn(url, email);

  console.log("curl, as documented");
  await curl(DOCUMENTED);
  const leads = [{ email: "jane@example.com", name: "Jane Smith" }];

  console.log("@trpc/client 10 and 11, every link, plain and with superjson");
  const links = await run("node", [new URL("trpc/links.mjs", import.meta.url).pathname, url, org]);
  const sent = JSON.parse(links.stdout);
  assert.equal(new Set(sent.map((lead) => lead.id)).size, 12, "each is a submission of its own");
  leads.push(...sent);

  console.log("a form, posted by a browser");
  await postForm(`${url}/f/${token}`, { first_name: "Ada", last_name: "Byron", email: "ada@form.example", company: "Engines", message: "A <b>question</b> {{ 7 * 7 }}" });
  leads.push({ email: "ada@form.example", name: "Ada Byron" });

  const ends = [];
  for (const lead of leads) ends.push(await told(lead));
  assert.equal(new Set(ends.map(({ id }) => id)).size, leads.length, "each is a lead of its own");
  assert.equal(new Set(ends.map(({ rep }) => rep)).size, 2, "the leads go round among the reps");
  console.log(`${leads.length} leads enriched, scored and told`);

  console.log("the pages, in the browser");
  const seen = await pages(dev, ends[0]);
  console.log(`${seen} views are clean by axe and fit their window`);
} finally {
  await dev.stop();
  await remove();
}
