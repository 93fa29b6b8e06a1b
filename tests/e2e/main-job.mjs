// A lead that comes in by any door ends as an enriched, scored lead, a notification and a mail.
//
//   LEADMILL=target/debug/leadmill node main-job.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { postForm } from "./browser/form.mjs";
import { start } from "./dev.mjs";

const run = promisify(execFile);
const PATIENCE = 20_000;

/** What `look` finds, once it finds something. */
async function eventually(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `${what} did not come within ${PATIENCE / 1000} s`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

const data = await mkdtemp(join(tmpdir(), "leadmill-e2e-"));
const dev = await start(data, ["--set", "intake.per_ip_per_minute=100000", "--set", "intake.per_ip_burst=10000"]);
const { url, org_id: org, form_token: token, api_key: key } = dev.ready;

async function api(path) {
  const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

/** The lead with this address is enriched, scored, somebody's, and that somebody has a mail about it. */
async function told(email) {
  const lead = await eventually(`the scored lead ${email}`, async () => {
    const { items } = await api(`/api/v1/leads?q=${encodeURIComponent(email)}`);
    return items.find((lead) => lead.email === email && lead.enrichment_status === "done" && lead.score !== null && lead.assigned_to);
  });
  assert.ok(lead.job_title, "the provider told a job title");
  const mail = await eventually(`a mail about ${email}`, async () => {
    const mails = await (await fetch(`${url}/dev/mail.json`)).json();
    return mails.find((mail) => mail.text?.includes(lead.id) && mail.html?.includes(lead.id));
  });
  assert.match(mail.to[0], /^(mira|jonas)@demo\.example$/);
  return lead;
}

try {
  console.log("curl, as documented");
  const body = JSON.stringify({ orgId: org, firstName: "Jane", lastName: "Smith", email: "jane@curl.example", source: "website" });
  const { stdout } = await run("curl", ["-sS", "-X", "POST", `${url}/api/trpc/crm.leads.capture`, "-H", "Content-Type: application/json", "-d", body]);
  assert.equal(JSON.parse(stdout).result.data.success, true);
  const leads = [await told("jane@curl.example")];

  console.log("@trpc/client 10 and 11, every link");
  const links = await run("node", [new URL("trpc/links.mjs", import.meta.url).pathname, url, org]);
  console.log(`  ${links.stdout.trim()}`);
  leads.push(await told("jane@example.com"));

  console.log("a form, posted by a browser");
  await postForm(`${url}/f/${token}`, { first_name: "Ada", last_name: "Byron", email: "ada@form.example", company: "Engines", message: "A <b>question</b> {{ 7 * 7 }}" });
  leads.push(await told("ada@form.example"));

  console.log("a second lead by curl, so that either rep has one");
  const second = JSON.stringify({ orgId: org, firstName: "Joe", lastName: "Doe", email: "joe@second.example", source: "referral" });
  await run("curl", ["-sS", "-X", "POST", `${url}/api/trpc/crm.leads.capture`, "-H", "Content-Type: application/json", "-d", second]);
  leads.push(await told("joe@second.example"));

  const { items: news } = await api("/api/v1/notifications?limit=200");
  const about = new Set(news.map((item) => item.lead_id));
  assert.ok(leads.some((lead) => about.has(lead.id)), "the rep of this key has a notification about one of them");
  console.log(`${leads.length} leads enriched, scored and told`);
} finally {
  await dev.stop();
  await rm(data, { recursive: true, force: true });
}
