// `leadmill dev` as a process of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** What `look` finds, once it finds something. */
export async function eventually(what, look, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `${what} did not come within ${seconds} s`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

/** Starts it on `data` and waits until it says that it is ready. */
export async function start(data, more = []) {
  const args = ["dev", "--listen", "127.0.0.1:0", "--data", data, "--ready-json", ...more];
  const child = spawn(process.env.LEADMILL, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  const logged = () => Buffer.concat(log).toString();
  child.stderr.on("data", (chunk) => log.push(chunk));
  const ended = once(child, "exit");
  const line = await Promise.race([
    once(createInterface(child.stdout), "line").then(([line]) => line),
    ended.then(([code]) => assert.fail(`it ended with ${code}:\n${logged()}`)),
  ]);
  const link = (whom) => eventually(`the link of ${whom}`, () => logged().match(new RegExp(`^As the ${whom}: (\\S+)$`, "m"))?.[1]);
  return {
    ready: JSON.parse(line),
    links: { rep: await link("rep Mira"), owner: await link("owner") },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      assert.equal(code, 0, `it stopped with ${code}:\n${logged().slice(-4000)}`);
    },
  };
}
