// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { findServerFile, parseAddress, readServerFile } from "../dist/server-file.js";

const ADDRESS = { endpoint: "ipc:///run/x", key: "k" };
const PAIR = {
  server_public_key: "a".repeat(40),
  public_key: "b".repeat(40),
  secret_key: "c".repeat(40),
};
const notFound = { code: "SERVER_NOT_FOUND" };

async function inFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), "cellwall-file-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function fileWith(t, text, mode = 0o600) {
  const path = join(await inFolder(t), "server.json");
  await writeFile(path, text, { mode });
  await chmod(path, mode);
  return path;
}

test("a private file is read", async (t) => {
  const path = await fileWith(t, JSON.stringify({ ...ADDRESS, contexts: "/x", pid: 1 }));
  assert.deepEqual(await readServerFile(path), { ...ADDRESS, curve: null });
});

test("a file that others can read or write is not used", async (t) => {
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o666]) {
    const path = await fileWith(t, JSON.stringify(ADDRESS), mode);
    await assert.rejects(readServerFile(path), { ...notFound, message: /others may/ });
  }
});

test(
  "a file of another user is not used",
  { skip: process.getuid() !== 0 && "only root can give a file away" },
  async (t) => {
    const path = await fileWith(t, JSON.stringify(ADDRESS));
    await chown(path, 12345, 12345);
    await assert.rejects(readServerFile(path), { ...notFound, message: /another user/ });
  },
);

test("what is no file, or malformed, is not used", async (t) => {
  const folder = await inFolder(t);
  await assert.rejects(readServerFile(join(folder, "none")), notFound);
  await assert.rejects(readServerFile(folder), notFound);
  for (const text of ["", "[]", "{}", '{"endpoint": 1}', '{"endpoint": "inproc://x"}']) {
    await assert.rejects(readServerFile(await fileWith(t, text)), notFound);
  }
  await assert.rejects(readServerFile(await fileWith(t, " ".repeat(300_000))), notFound);
});

test("CURVE keys come together", () => {
  const endpoint = "tcp://127.0.0.1:1";
  const parse = (members) => parseAddress(JSON.stringify({ endpoint, ...members }));
  assert.deepEqual(parse(PAIR).curve, {
    serverKey: PAIR.server_public_key,
    publicKey: PAIR.public_key,
    secretKey: PAIR.secret_key,
  });
  for (const name of Object.keys(PAIR)) {
    assert.throws(() => parse({ ...PAIR, [name]: undefined }));
    assert.throws(() => parse({ ...PAIR, [name]: "short" }));
  }
  assert.throws(() => parse({ server_public_key: PAIR.server_public_key }), /keygen/);
});

test("the file is where the protocol says", async (t) => {
  const runtime = await inFolder(t);
  const uid = process.getuid();
  const find = (server, env) => findServerFile(server, env);
  assert.equal(await find("/a", { CELLWALL_SERVER: "/b" }), "/a");
  assert.equal(await find(undefined, { CELLWALL_SERVER: "/b" }), "/b");
  const ours = join(runtime, "cellwall", "server.json");
  assert.equal(await find(undefined, { XDG_RUNTIME_DIR: runtime }), ours);
  const fallback = `/t/cellwall-${uid}/server.json`;
  const missing = { XDG_RUNTIME_DIR: join(runtime, "no"), TMPDIR: "/t" };
  assert.equal(await find(undefined, missing), fallback);
  assert.equal(await find(undefined, {}), `/tmp/cellwall-${uid}/server.json`);
  await assert.rejects(find(undefined, { CELLWALL_SERVER: "none" }), notFound);
});

test("a link to a private file is followed", async (t) => {
  const path = await fileWith(t, JSON.stringify(ADDRESS));
  const folder = await inFolder(t);
  await mkdir(join(folder, "cellwall"));
  await symlink(path, join(folder, "cellwall/server.json"));
  await readServerFile(join(folder, "cellwall/server.json"));
});
