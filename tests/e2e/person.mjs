// A person of the demo org who is signed in, without a browser: what their pages say.

import assert from "node:assert/strict";
import { eventually } from "./dev.mjs";

/** Signs in by the link that the mail brings. */
export async function signIn(url, email) {
  const form = { method: "POST", redirect: "manual", headers: { "content-type": "application/x-www-form-urlencoded" } };
  const asked = await fetch(`${url}/sign-in`, { ...form, body: new URLSearchParams({ email }) });
  assert.equal(asked.status, 303);
  const link = await eventually(`the link for ${email}`, async () => {
    const mails = await (await fetch(`${url}/dev/mail.json`)).json();
    const mail = mails.find((mail) => mail.to.includes(email) && mail.text?.includes("/sign-in/"));
    return mail?.text.match(/http\S+\/sign-in\/\S+/)[0];
  });
  const entered = await fetch(link, form);
  assert.equal(entered.status, 303);
  const cookie = entered.headers.get("set-cookie").split(";")[0];
  return { url, cookie };
}

/** What the bell told this person, the newest first: title and whether it is read. */
export async function notifications({ url, cookie }) {
  const titles = [];
  for (let path = "/dashboard/crm/notifications"; path; ) {
    const answer = await fetch(url + path, { headers: { cookie }, redirect: "manual" });
    assert.equal(answer.status, 200, path);
    const page = await answer.text();
    const item = /<button class="plain" data-row><span class="strong">([^<]*)<\/span>/g;
    titles.push(...[...page.matchAll(item)].map(([, title]) => plain(title)));
    const next = page.match(/href="([^"]+)" rel="next"/)?.[1];
    path = next && plain(next);
  }
  return titles;
}

/** Text as it was before it was written as HTML. */
function plain(html) {
  return html.replace(/&#x([0-9a-f]+);/g, (_, hex) => String.fromCodePoint(parseInt(hex, 16))).replace(/&(amp|lt|gt|quot);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"' })[name]);
}
