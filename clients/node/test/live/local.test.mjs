// SPDX-License-Identifier: MIT
// Servers of one's own: they end with the client, and so does the process.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import test from "node:test";
import { local } from "../../dist/index.js";

const INDEX = new URL("../../dist/index.js", import.meta.url);

/** A program of its own, with CODE, whose processes and files can be told by its mark. */
class Program {
  static async start(t, code) {
    const program = new Program();
    program.folder = await mkdtemp(join(tmpdir(), "cellwall-t-"));
    t.after(() => rm(program.folder, { recursive: true, force: true }));
    program.mark = `PROGRAM_MARK=${randomUUID()}`;
    const source = `import { Client, local } from "${INDEX}";\n${code}`;
    const [name, value] = program.mark.split("=");
    program.process = spawn(process.execPath, ["--input-type=module", "--eval", source], {
      env: { ...process.env, TMPDIR: program.folder, [name]: value },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return program;
  }

  /** What it has said when it has ended by itself. */
  async output() {
    const ended = once(this.process, "exit");
    const said = await text(this.process.stdout);
    assert.deepEqual(await ended, [0, null]);
    return said;
  }

  /** Resolves when nothing that it has started is left. */
  async gone() {
    while (await this.#hasProcesses()) await new Promise((wake) => setTimeout(wake, 50));
  }

  async #hasProcesses() {
    for (const pid of await readdir("/proc")) {
      const file = `/proc/${pid}/environ`;
      const environ =
        /^\d+$/.test(pid) && (await readFile(file, "latin1").catch(() => ""));
      if (environ && environ.split("\0").includes(this.mark)) return true;
    }
    return false;
  }
}

test("a server of our own runs code, and ends when the client is closed", async () => {
  const client = await local();
  const { text } = await client.runCode("6 * 7");
  assert.equal(text, "42");
  await client.close();
  await assert.rejects(client.serverInfo(), { code: "CLIENT_CLOSED" });
});

test("a closed client leaves nothing and keeps no process alive", async (t) => {
  const program = await Program.start(
    t,
    `const client = await local();
    console.log((await client.runCode("1 + 1", { onStdout() {} })).text);
    await client.close();`,
  );
  assert.equal(await program.output(), "2\n");
  assert.deepEqual(await readdir(program.folder), []);
  await program.gone();
});

test("a closed client of a running server keeps no process alive", async (t) => {
  const program = await Program.start(
    t,
    `const client = await Client.connect();
    console.log((await client.runCode("'x'", { onStdout() {} })).text);
    await client.close();`,
  );
  assert.equal(await program.output(), "'x'\n");
});

test("a process that exits without closing leaves nothing", async (t) => {
  const program = await Program.start(
    t,
    `const client = await local();
    console.log((await client.runCode("1 + 1")).text);
    process.exit(0);`,
  );
  assert.equal(await program.output(), "2\n");
  assert.deepEqual(await readdir(program.folder), []);
  await program.gone();
});

test("a process that is killed takes its server with it", async (t) => {
  const program = await Program.start(
    t,
    `const client = await local();
    console.log((await client.runCode("1 + 1")).text);
    setInterval(() => {}, 1000);`,
  );
  await once(createInterface({ input: program.process.stdout }), "line");
  program.process.kill("SIGKILL");
  await program.gone();
});

test(
  "a disposed client is closed",
  { skip: !Symbol.asyncDispose && "no symbol" },
  async () => {
    const client = await local();
    await client[Symbol.asyncDispose]();
    await assert.rejects(client.serverInfo(), { code: "CLIENT_CLOSED" });
  },
);

test("a program that cannot be started is told", async () => {
  await assert.rejects(local({ program: "/nowhere/cellwall" }), {
    code: "SERVER_START_FAILED",
    message: /ENOENT/,
  });
  await assert.rejects(local({ args: ["--no-such-option"] }), (error) => {
    assert.equal(error.code, "SERVER_START_FAILED");
    assert.ok(error.details.log.length > 0);
    return true;
  });
});
