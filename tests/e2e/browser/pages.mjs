// The console in the browser that is installed: every page by axe in light, in dark and on a phone, and what keys, script
// and the bell do. SHOTS names a folder for pictures of what was seen.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../dev.mjs";
import { browser } from "./form.mjs";

const run = promisify(execFile);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const LOOKS = {
  light: { width: 1280, height: 900, scheme: "light" },
  dark: { width: 1280, height: 900, scheme: "dark" },
  phone: { width: 390, height: 844, scheme: "light" },
};

/** Looks at every page and uses some; `lead` is one that was scored. Says how many views it looked at. */
export async function pages({ ready: { url, org_id: org, api_key: key, database_url: database }, links }, lead) {
  const chromium = await browser();
  const wrong = [];
  let views = 0;
  const look_at = async (tab, name) => {
    views += 1;
    wrong.push(...(await look(tab, name)).map((what) => `${name}: ${what}`));
  };
  try {
    const rep = await signedIn(chromium, links.rep);
    const owner = await signedIn(chromium, links.owner);
    const path = `/dashboard/crm/leads/${lead.id}`;
    await keys(rep, url);
    await statusByKeyboard(rep, url);
    await draftsStay(rep, url, path);
    await closingIsAsked(rep, url, path);
    await bell(rep, url, org);
    await theStreamComesBack(rep, url);
    await mailsAreFollowed(rep, url);
    await jobKeys(owner, url);
    await othersAreFollowed(rep, url, path, key);
    // A sweep of all orgs that does not end while the pages are looked at.
    await leadmill(database, ["limits", "pause", "kind", "refresh_org_scores"]);
    await leadmill(database, ["schedules", "run", "refresh_scores"]);
    await eventually("the batch of the sweep", async () => JSON.parse(await leadmill(database, ["batches", "ls", "--unfinished", "--json"])).items.length);

    const job = await newest(owner, `${url}/ops/jobs?finished=true`, "tr[data-row] a");
    const mail = await newest(rep, `${url}/dev/mail`, "tr[data-row] a");
    for (const [style, { width, height, scheme }] of Object.entries(LOOKS)) {
      for (const tab of [rep, owner]) {
        await tab.setViewport({ width, height });
        await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      }
      const seen = {
        leads: [rep, "/dashboard/crm/leads"],
        filtered: [rep, "/dashboard/crm/today"],
        wrong: [rep, "/dashboard/crm/leads?status=best&date_from=soon"],
        lead: [rep, path],
        notifications: [rep, "/dashboard/crm/notifications"],
        nowhere: [rep, "/dashboard/nowhere"],
        mails: [rep, "/dev/mail"],
        mail: [rep, mail],
        now: [owner, "/ops"],
        jobs: [owner, "/ops/jobs?finished=true"],
        job: [owner, job],
        dead: [owner, "/ops/dead"],
        batches: [owner, "/ops/batches"],
        limits: [owner, "/ops/limits"],
        schedules: [owner, "/ops/schedules"],
        backfill: [owner, `/ops/schedules/refresh_scores/backfill?from=${aWeekAgo()}`],
        "backfill-wrong": [owner, "/ops/schedules/refresh_scores/backfill?from=2020-01-01T00:00"],
        "wrong-jobs": [owner, "/ops/jobs?state=best"],
      };
      for (const [name, [tab, path]] of Object.entries(seen)) {
        await tab.goto(new URL(path, url).href);
        await look_at(tab, `${name}-${style}`);
      }
      await rep.goto(`${url}/dashboard/crm/leads`);
      await rep.click("details.more > summary");
      await look_at(rep, `filter-${style}`);
      await rep.goto(`${url}${path}`);
      await rep.click("button[popovertarget]");
      await look_at(rep, `closing-${style}`);
      await owner.goto(`${url}/ops/batches?unfinished=true`);
      await owner.click("button[popovertarget]");
      await look_at(owner, `calling-off-${style}`);
      const stranger = await (await chromium.createBrowserContext()).newPage();
      await stranger.setViewport({ width, height });
      await stranger.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await stranger.goto(`${url}/sign-in`);
      await look_at(stranger, `door-${style}`);
      await stranger.close();
    }
    await aBatchIsCalledOff(owner, url);
    assert.deepEqual(wrong, []);
    return views;
  } finally {
    await chromium.close();
  }
}

/** A week ago, as the field of a form says it. */
const aWeekAgo = () => new Date(Date.now() - 7 * 86_400_000).toISOString().slice(0, 16);

/** A tab of somebody who is signed in; a mistake of the script fails. */
async function signedIn(chromium, link) {
  const tab = await (await chromium.createBrowserContext()).newPage();
  tab.on("pageerror", (error) => assert.fail(`${tab.url()}: ${error.message}`));
  await tab.goto(link);
  await Promise.all([tab.waitForNavigation(), tab.click("button")]);
  assert.match(tab.url(), /\/dashboard\/crm$/);
  return tab;
}

/** What is wrong with a page: what axe finds, and what is wider than its window. */
async function look(tab, name) {
  if (process.env.SHOTS) {
    await mkdir(process.env.SHOTS, { recursive: true });
    await tab.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: !/filter-|closing-/.test(name) });
  }
  await tab.evaluate(axe);
  const found = await tab.evaluate((rules) => window.axe.run(document, { runOnly: rules, iframes: false }), RULES);
  const wrong = found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`));
  const size = await tab.evaluate(() => {
    const panel = document.querySelector("details.more[open] .pop, :popover-open")?.getBoundingClientRect();
    const outside = panel && (panel.left < 0 || panel.right > innerWidth);
    return [document.documentElement.scrollWidth > innerWidth && "it is wider than its window", outside && "the panel leaves the window"];
  });
  return [...wrong, ...size.filter(Boolean)];
}

async function newest(tab, page, selector) {
  await tab.goto(page);
  return tab.$eval(selector, (link) => link.getAttribute("href"));
}

const focused = (tab) => tab.evaluate(() => document.activeElement.getAttribute("data-search") !== null);
const went = async (tab, go) => Promise.all([tab.waitForNavigation(), go()]);
const toast = (tab, text) => tab.waitForFunction((text) => document.querySelector("[data-toasts]").textContent.includes(text), { timeout: 20_000 }, text);

async function keys(tab, url) {
  await tab.goto(`${url}/dashboard/crm/leads`);
  await tab.keyboard.press("/");
  assert.ok(await focused(tab), "/ goes to the search");
  await tab.keyboard.press("Escape");
  const at = () => tab.evaluate(() => [...document.querySelectorAll("tr[data-row]")].findIndex((row) => row.classList.contains("at")));
  for (const [key, wanted] of [["j", 0], ["j", 1], ["k", 0], ["j", 1]]) {
    await tab.keyboard.press(key);
    assert.equal(await at(), wanted, key);
  }
  const row = await tab.$eval("tr.at", (row) => row.dataset.row);
  await went(tab, () => tab.keyboard.press("Enter"));
  assert.ok(tab.url().endsWith(row));
  await tab.keyboard.type("?");
  assert.ok(await tab.$eval("#keys", (keys) => keys.open));
  await tab.keyboard.press("Escape");
  assert.ok(!(await tab.$eval("#keys", (keys) => keys.open)));
  await tab.keyboard.press("g");
  await went(tab, () => tab.keyboard.press("b"));
  assert.match(tab.url(), /\/notifications$/);
}

/** An arrow chooses, Enter sends, the field is there again, and one click undoes it. */
async function statusByKeyboard(tab, url) {
  await tab.goto(`${url}/dashboard/crm/leads`);
  const select = "tr[data-row] form[data-auto] select";
  const before = await tab.$eval(select, (select) => select.value);
  const action = await tab.$eval(select, (select) => select.form.getAttribute("action"));
  const saved = async () => {
    const page = await tab.evaluate(async () => (await fetch(location.pathname)).text());
    return tab.evaluate((page, action) => new DOMParser().parseFromString(page, "text/html").querySelector(`form[action="${action}"] select`).value, page, action);
  };
  await tab.focus(select);
  await tab.keyboard.press("ArrowDown");
  const chosen = await tab.$eval(select, (select) => select.value);
  assert.notEqual(chosen, before);
  assert.equal(await saved(), before, "an arrow saves nothing");
  assert.ok(await tab.$eval(`${select} + [data-set]`, (button) => button.offsetParent !== null), "there is a button to set it");
  await went(tab, () => tab.keyboard.press("Enter"));
  assert.equal(await saved(), chosen);
  assert.equal(await tab.evaluate(() => document.activeElement.form?.getAttribute("action")), action, "the focus is back");
  await toast(tab, "The status is changed.");
  await went(tab, () => tab.click("[data-said] button"));
  assert.equal(await saved(), before, "it is undone");
}

async function draftsStay(tab, url, path) {
  const note = "form[action$='/note'] textarea";
  await tab.goto(`${url}${path}`);
  await tab.type(note, "Asks for a second offer");
  await tab.reload();
  assert.equal(await tab.$eval(note, (note) => note.value), "Asks for a second offer");
  await went(tab, () => tab.click("form[action$='/note'] button"));
  assert.equal(await tab.$eval(note, (note) => note.value), "");
  assert.match(await tab.$eval("#timeline", (timeline) => timeline.textContent), /Asks for a second offer/);
  await tab.reload();
  assert.equal(await tab.$eval(note, (note) => note.value), "");
}

/** A closing stage asks first. */
async function closingIsAsked(tab, url, path) {
  await tab.goto(`${url}${path}`);
  const closing = "button[popovertarget]";
  const panel = `#${await tab.$eval(closing, (button) => button.getAttribute("popovertarget"))}`;
  await tab.click(closing);
  assert.ok(await tab.$eval(panel, (panel) => panel.matches(":popover-open")));
  await tab.keyboard.press("Escape");
  assert.ok(!(await tab.$eval(panel, (panel) => panel.matches(":popover-open"))));
  assert.ok(tab.url().endsWith(path));
}

/** The bell counts and tells without the page being loaded again. */
async function bell(tab, url, org) {
  await tab.goto(`${url}/dashboard/crm/notifications`);
  const count = () => tab.$eval("[data-count]", (count) => parseInt(count.textContent, 10));
  const before = await count();
  await tab.evaluate(() => (window.same = true));
  // Leads go round among two reps: one of these two is hers.
  for (const email of ["bell1@bell.example", "bell2@bell.example"]) {
    const body = JSON.stringify({ orgId: org, firstName: "Alexander", lastName: "Bell", email, source: "referral" });
    const answer = await fetch(`${url}/api/trpc/crm.leads.capture`, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.equal(answer.status, 200);
  }
  await toast(tab, "Alexander Bell");
  await eventually("the count of the bell", async () => (await count()) > before);
  await tab.waitForFunction(() => document.querySelector(".news").textContent.includes("Alexander Bell"), { timeout: 20_000 });
  assert.ok(await tab.evaluate(() => window.same), "it is the same page");
}

/** A stream that was refused is asked for again; a page that nobody looks at holds none, and one that is looked at again does. */
async function theStreamComesBack(tab, url) {
  const isStream = (message) => message.url().includes("/notifications/stream");
  const streams = [];
  const refuseOne = (request) => {
    if (isStream(request)) streams.push(request);
    return isStream(request) && streams.length === 1 ? request.respond({ status: 503 }) : request.continue();
  };
  const opened = () => tab.waitForResponse((answer) => isStream(answer) && answer.status() === 200, { timeout: 20_000 });
  await tab.setRequestInterception(true);
  tab.on("request", refuseOne);
  await Promise.all([opened(), tab.goto(`${url}/dashboard/crm/notifications`)]);
  assert.equal(streams.length, 2);
  tab.off("request", refuseOne);
  await tab.setRequestInterception(false);

  const look = (hidden) =>
    tab.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const closed = new Promise((found) => tab.on("requestfailed", (request) => isStream(request) && found()));
  await Promise.all([closed, look(true)]);
  await Promise.all([opened(), look(false)]);
  tab.removeAllListeners("requestfailed");
}

/** What a program changes of a lead is on its open page at once, which is not loaded again and does not ask all the time. */
async function othersAreFollowed(tab, url, path, key) {
  await tab.goto(`${url}${path}`);
  await tab.evaluate(() => (window.same = true));
  const title = `Head of ${Date.now()}`;
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v1/leads/${path.split("/").pop()}`, { method: "PATCH", headers, body: JSON.stringify({ job_title: title }) });
  assert.equal(answer.status, 200, await answer.text());
  await tab.waitForFunction((title) => document.querySelector(".who").textContent.includes(title), { timeout: 5_000 }, title);
  assert.ok(await tab.evaluate(() => window.same), "it is the same page");
}

/** What `leadmill` prints. */
async function leadmill(database, args) {
  const { stdout } = await run(process.env.LEADMILL, args, { env: { ...process.env, DATABASE_URL: database } });
  return stdout;
}

/** Asked first, by the keyboard; the way out is what Enter does first. */
async function aBatchIsCalledOff(tab, url) {
  const list = `${url}/ops/batches?unfinished=true`;
  await tab.goto(list);
  await tab.focus("button[popovertarget]");
  await tab.keyboard.press("Enter");
  await tab.waitForSelector(":popover-open");
  await tab.keyboard.press("Enter");
  assert.equal(await tab.$(":popover-open"), null, "Enter keeps it");
  await tab.click("button[popovertarget]");
  await tab.type(":popover-open input[name=reason]", "not tonight");
  await went(tab, () => tab.click(":popover-open button.bad"));
  await toast(tab, "Cancelled ");
  assert.equal(tab.url(), list);
  assert.match(await tab.$eval("main", (main) => main.textContent), /No batches/);
}

/** The button in a mail opens the lead, and so does the address in its text. */
async function mailsAreFollowed(tab, url) {
  const { number } = await eventually("the mail about the lead of whom the bell told", async () => {
    const mails = await (await fetch(`${url}/dev/mail.json`)).json();
    return mails.find((mail) => mail.subject.includes("Alexander Bell"));
  });
  await tab.goto(`${url}/dev/mail/${number}`);
  await tab.waitForFunction(() => document.querySelector("iframe").contentDocument?.querySelector("a[href*='/leads/']"));
  const place = await tab.evaluate(() => {
    const frame = document.querySelector("iframe");
    const link = frame.contentDocument.querySelector("a[href*='/leads/']");
    link.scrollIntoView();
    const [outer, inner] = [frame.getBoundingClientRect(), link.getBoundingClientRect()];
    return { x: outer.x + inner.x + inner.width / 2, y: outer.y + inner.y + inner.height / 2 };
  });
  for (const click of [() => tab.mouse.click(place.x, place.y), () => tab.click(".letter-text a")]) {
    const [opened] = await Promise.all([new Promise((found) => tab.once("popup", found)), click()]);
    await opened.waitForSelector("h1");
    assert.match(await opened.title(), /Alexander Bell/);
    await opened.close();
  }
}

async function jobKeys(tab, url) {
  await tab.goto(`${url}/ops/jobs?finished=true`);
  await tab.keyboard.press("j");
  await tab.keyboard.press("x");
  assert.equal(await tab.$$eval("[data-pick]:checked", (boxes) => boxes.length), 1);
  assert.ok(await tab.$eval("[data-picked-bar]", (bar) => bar.offsetParent !== null));
  await went(tab, () => tab.keyboard.press("r"));
  await toast(tab, "Running 1 job again.");
}
