// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import test from "node:test";
import { Execution, ProtocolError } from "../dist/index.js";
import { OUTCOME } from "./fake-server.mjs";

const executionWith = (members) => new Execution({ ...OUTCOME, ...members });
const resultWith = (data, members) =>
  executionWith({ results: [{ data, metadata: {}, is_main_result: true, ...members }] })
    .results[0];

test("formats names properties first, then MIME types", () => {
  const result = resultWith({
    "application/vnd.thing+json": { a: 1 },
    "text/html": "<b>4</b>",
    "text/plain": "4",
    "image/png": "iVBORw==",
    "application/json": null,
  });
  assert.deepEqual(result.formats(), [
    "text",
    "html",
    "png",
    "json",
    "application/vnd.thing+json",
  ]);
  assert.equal(result.html, "<b>4</b>");
  assert.equal(result.svg, undefined);
  assert.equal(result.json, null);
});

test("unknown MIME types are kept", () => {
  const result = resultWith({ "text/plain": "x", "x/y": [1], __proto__x: "z" });
  assert.deepEqual({ ...result.extra }, { "x/y": [1], __proto__x: "z" });
});

test("a MIME type cannot change what a result is", () => {
  const data = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": "x"}');
  const result = resultWith(data);
  assert.equal({}.polluted, undefined);
  assert.equal(result.extra.polluted, undefined);
  assert.deepEqual(result.formats(), ["__proto__", "constructor"]);
  assert.equal(result.asBytes("toString"), undefined);
});

test("binary formats are decoded when they are asked for", () => {
  const result = resultWith({ "image/png": "AAEC/w==" });
  assert.equal(result.png, "AAEC/w==");
  assert.deepEqual([...result.asBytes("png")], [0, 1, 2, 255]);
  assert.deepEqual([...result.asBytes("image/png")], [0, 1, 2, 255]);
  assert.equal(result.asBytes("pdf"), undefined);
});

test("text is that of the main result", () => {
  const displayed = { data: { "text/plain": "no" }, metadata: {}, is_main_result: false };
  const main = { data: { "text/plain": "yes" }, metadata: {}, is_main_result: true };
  assert.equal(executionWith({ results: [displayed, main] }).text, "yes");
  assert.equal(executionWith({ results: [displayed] }).text, undefined);
});

test("an error has a traceback with and without colours", () => {
  const { error, ok } = executionWith({
    status: "error",
    error: { ename: "E", evalue: "v", traceback: ["\u001b[0;31mE\u001b[0m", "b"] },
  });
  assert.equal(ok, false);
  assert.equal(error.traceback, "E\nb");
  assert.equal(error.tracebackLines.length, 2);
});

test("a timeout is a reason", () => {
  const execution = executionWith({
    reason: { kind: "timeout", state: "kept", text: "30 s", limit: 30, exit_status: 1 },
  });
  assert.equal(execution.reason.kind, "timeout");
  assert.equal(execution.reason.exitStatus, 1);
  assert.throws(() => execution.orThrow(), { code: "EXECUTION_FAILED", message: "30 s" });
});

test("an outcome that went well is itself", () => {
  const execution = executionWith({});
  assert.equal(execution.orThrow(), execution);
  assert.equal(JSON.stringify(execution), JSON.stringify(OUTCOME));
});

test("what was cut is told", () => {
  const truncated = { stdout: { total_bytes: 10, kept_bytes: 5 } };
  assert.deepEqual(executionWith({ truncated }).truncated, {
    stdout: { totalBytes: 10, keptBytes: 5 },
  });
});

test("an outcome of wrong types is a protocol error", () => {
  for (const members of [
    { results: {} },
    { results: [1] },
    { results: [{ data: "x" }] },
    { logs: [] },
    { logs: { stdout: 1 } },
    { error: "x" },
    { error: { ename: "E", traceback: [1] } },
    { reason: {} },
    { usage: { wall_ms: "x" } },
    { truncated: { stdout: {} } },
    { context: { id: 1 } },
    { execution_id: {} },
  ]) {
    assert.throws(() => executionWith(members), ProtocolError, JSON.stringify(members));
  }
});
