// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { ERROR_CLASSES } from "../dist/index.js";
import { MESSAGE_BYTES_MAX, Wire, sign } from "../dist/wire.js";
import { signedFrames } from "./fake-server.mjs";

const PROTOCOL = new URL("../../../docs/agent-protocol.md", import.meta.url);
const KEY = "0123456789abcdef";
const PARENT = { msg_id: "m-1" };

const frames = (...of) => signedFrames(...of).map((frame) => Buffer.from(frame));
const decode = (list, key = KEY) => new Wire(key).decode(list);

test("the example of the protocol is signed as it says", async () => {
  const text = await readFile(PROTOCOL, "utf8");
  const [, example] = /<!-- example: signed -->\n```\n([^`]*)\n```/.exec(text);
  const [delimiter, signature, ...parts] = example.split("\n");
  assert.equal(delimiter, "<IDS|MSG>");
  assert.equal(parts.length, 4);
  const key = Buffer.from("secret");
  assert.equal(
    sign(
      key,
      parts.map((part) => Buffer.from(part)),
    ),
    signature,
  );
});

test("every code of the protocol has an error class", async () => {
  const text = await readFile(PROTOCOL, "utf8");
  const [, table] = /### Errors([^]*?)## 3/.exec(text);
  const codes = [...table.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, code]) => code);
  assert.ok(codes.length >= 30);
  for (const code of codes) assert.ok(ERROR_CLASSES[code], `${code} has no class`);
  const classes = Object.values(ERROR_CLASSES);
  assert.equal(new Set(classes).size, classes.length);
  for (const [code, type] of Object.entries(ERROR_CLASSES))
    assert.equal(new type("text").code, code);
});

test("what one side encodes the other decodes", () => {
  const wire = new Wire("key");
  const bytes = Buffer.from([0, 255]);
  const { id, frames } = wire.encode("run_code_request", { code: "é" }, [bytes]);
  const message = wire.decode(frames);
  assert.equal(message.type, "run_code_request");
  assert.deepEqual(message.content, { code: "é" });
  assert.deepEqual(message.buffers, [bytes]);
  assert.equal(message.parentId, null);
  assert.notEqual(wire.encode("x", {}).id, id);
});

test("without a key nothing is signed", () => {
  const wire = new Wire("");
  const { frames } = wire.encode("x_request", {});
  assert.equal(frames[1].length, 0);
  assert.equal(wire.decode(frames).type, "x_request");
});

test("a message of another key is dropped and counted", () => {
  const wire = new Wire("another");
  assert.equal(wire.decode(frames("x_reply", PARENT, {})), null);
  assert.equal(wire.dropped, 1);
});

test("a signature of another length is dropped", () => {
  for (const signature of ["", "00", "0".repeat(63), "0".repeat(65)]) {
    const list = frames("x_reply", PARENT, {});
    list[1] = Buffer.from(signature);
    assert.equal(decode(list), null);
  }
});

test("each changed byte is noticed", () => {
  for (let index = 1; index < 6; index++) {
    const list = frames("x_reply", PARENT, { a: 1 });
    list[index][0] ^= 1;
    assert.equal(decode(list), null, `frame ${index}`);
  }
});

test("too few or too many frames are dropped", () => {
  const whole = frames("x_reply", PARENT, {});
  for (let count = 0; count < whole.length; count++)
    assert.equal(decode(whole.slice(0, count)), null);
  const buffers = new Array(100).fill(Buffer.alloc(0));
  assert.equal(decode([...whole, ...buffers]), null);
});

test("frames that are no JSON objects are dropped", () => {
  for (const text of ["", "[]", "1", "null", '"x"', "{", "{}x", "[".repeat(200_000)]) {
    assert.equal(decode(frames("x_reply", PARENT, text)), null, text.slice(0, 5));
    assert.equal(decode(frames("x_reply", text, {})), null);
  }
});

test("text that is not UTF-8 is dropped", () => {
  const list = frames("x_reply", PARENT, {});
  list[5] = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
  list[1] = Buffer.from(sign(Buffer.from(KEY), list.slice(2, 6)));
  assert.equal(decode(list), null);
});

test("a message that is too large is not sent", () => {
  const bytes = new Uint8Array(MESSAGE_BYTES_MAX);
  assert.throws(() => new Wire("key").encode("x_request", {}, [bytes]), {
    code: "TOO_LARGE",
  });
});
