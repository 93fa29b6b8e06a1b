// `leadmill dev` as a process of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Starts it on `data` and waits until it says that it is ready. */
export async function start(data, more = []) {
  const args = ["dev", "--listen", "127.0.0.1:0", "--data", data, "--ready-json", ...more];
  const child = spawn(process.env.LEADMILL, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  child.stderr.on("data", (chunk) => log.push(chunk));
  const ended = once(child, "exit");
  const line = await Promise.race([
    once(createInterface(child.stdout), "line").then(([line]) => line),
    ended.then(([code]) => assert.fail(`it ended with ${code}:\n${Buffer.concat(log)}`)),
  ]);
  return {
    ready: JSON.parse(line),
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      assert.equal(code, 0, `it stopped with ${code}:\n${Buffer.concat(log).toString().slice(-4000)}`);
    },
  };
}
