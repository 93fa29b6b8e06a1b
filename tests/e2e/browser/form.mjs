// A visitor fills in a form on somebody's site and sends it off.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { launch } from "puppeteer-core";

const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser that is installed. */
export function browser() {
  const executablePath = BROWSERS.find((path) => path && existsSync(path));
  assert.ok(executablePath, "no Chromium found; install it or name it by CHROMIUM");
  return launch({ executablePath, headless: true, args: ["--no-sandbox"] });
}

/** Serves a page with a plain HTML form to `action`, fills `answers` in by the keyboard, and sends it. */
export async function postForm(action, answers) {
  const inputs = Object.keys(answers).map((name) => `<label>${name}<input name="${name}"></label>`).join("");
  const page = `<!doctype html><title>Site</title><form method="post" action="${action}">${inputs}<button>Send</button></form>`;
  const site = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(page)).listen(0, "127.0.0.1");
  await once(site, "listening");
  const chromium = await browser();
  try {
    const tab = await chromium.newPage();
    await tab.goto(`http://127.0.0.1:${site.address().port}/`);
    for (const [name, answer] of Object.entries(answers)) await tab.type(`[name=${name}]`, answer);
    const [answer] = await Promise.all([tab.waitForNavigation(), tab.click("button")]);
    assert.equal(answer.status(), 200, await tab.content());
    assert.match(await tab.title(), /thank/i);
  } finally {
    await chromium.close();
    site.close();
  }
}
