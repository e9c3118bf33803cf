// SPDX-License-Identifier: MIT
// Over tcp: with a key that the server knows, and with one that it does not.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { after, before } from "node:test";
import { promisify } from "node:util";
import { Client } from "../../dist/index.js";

const PROGRAM = process.env.CELLWALL_PROGRAM;
let folder, server, endpoint;

const inFolder = (name) => join(folder, name);
const keygen = (...args) => promisify(execFile)(PROGRAM, ["keygen", ...args]);

async function makeClient(name, ...more) {
  const file = inFolder(`${name}.json`);
  const of = ["--client", name, "--server", inFolder("keys"), "--endpoint", endpoint];
  await keygen(...of, "-o", file, ...more);
  return file;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cellwall-tcp-"));
  await keygen("--server", inFolder("keys"));
  const keys = ["--keys", inFolder("keys"), "--authorised", inFolder("authorised")];
  // The file of authorised keys has to be there: this client never comes.
  endpoint = "tcp://127.0.0.1:1";
  await makeClient("first", "--authorise", inFolder("authorised"));
  server = spawn(PROGRAM, ["serve", "--endpoint", "tcp://127.0.0.1:*", ...keys], {
    env: { ...process.env, XDG_RUNTIME_DIR: folder },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = createInterface({ input: server.stderr });
  for await (const line of lines) if (line.startsWith("cellwall: ready")) break;
  server.stderr.resume();
  const file = await readFile(inFolder("cellwall/server.json"), "utf8");
  ({ endpoint } = JSON.parse(file));
});

after(async () => {
  server.kill();
  await once(server, "exit");
  await rm(folder, { recursive: true });
});

test("a client with an authorised key owns what it makes", async (t) => {
  const file = await makeClient("ann", "--authorise", inFolder("authorised"));
  const ann = await Client.connect({ server: file });
  t.after(() => ann.close());
  assert.equal((await ann.serverInfo()).owner, "key:ann");
  let said = "";
  const { text } = await ann.runCode("print('over tcp')\n2 ** 10", {
    onStdout: (part) => void (said += part),
  });
  assert.equal(text, "1024");
  assert.equal(said, "over tcp\n");
});

test("another owner's contexts are not there", async (t) => {
  const clients = [];
  for (const name of ["bob", "eve"]) {
    const file = await makeClient(name, "--authorise", inFolder("authorised"));
    const client = await Client.connect({ server: file });
    t.after(() => client.close());
    clients.push(client);
  }
  const [bob, eve] = clients;
  const context = await bob.createContext();
  await assert.rejects(eve.getContext(context.id), { code: "CONTEXT_NOT_FOUND" });
  assert.deepEqual(await eve.listContexts(), []);
});

test("a key that the server does not know is turned away", async () => {
  const file = await makeClient("stranger");
  await assert.rejects(Client.connect({ server: file }), {
    code: "NOT_ALLOWED",
    message: /does not know this key/,
  });
});

test("the server's own file says that a client needs one of its own", async () => {
  const own = join(folder, "cellwall/server.json");
  await assert.rejects(Client.connect({ server: own }), {
    code: "SERVER_NOT_FOUND",
    message: /keygen/,
  });
});
