// SPDX-License-Identifier: MIT
// Errors as a person wants to see them: stacks without the runner's frames, the line of
// the cell, and the texts of Jupyter's error message.
import { fileURLToPath } from "node:url";
import { inspect, types } from "node:util";

import { sourceOf } from "./sources.mjs";

const { Error, Object } = globalThis; // user code may replace them

const OURS = new URL("./", import.meta.url).href;
const OUR_PATH = fileURLToPath(OURS);
const LIMITS = { ename: 1024, evalue: 1 << 20, traceback: 4 << 20 };
const LINE_CHARACTERS = 500;
const FRAME = /^ {4}at (?:async )?(?:.* \()?(In\[\d+\]|cell-\d+):(\d+):(\d+)\)?$/m;

function isOurs(name) {
  return name.startsWith(OURS) || name.startsWith(OUR_PATH) || name === "node:inspector";
}

// The script's name; a cell's is none of a file.
const nameOf = (frame) => frame.getFileName() || frame.getScriptNameOrSourceURL?.() || "";

const isInternal = (name) => name.startsWith("node:");

// The frames of user code and of what it calls, not of what calls it.
function kept(frames) {
  const names = frames.map(nameOf);
  const first = names.findIndex(isOurs);
  let end = first < 0 ? frames.length : first;
  while (end > 0 && isInternal(names[end - 1])) end--;
  return frames.slice(0, end > 0 ? end : first < 0 ? frames.length : first);
}

function headline(error) {
  try {
    const code = error.code;
    const text = Error.prototype.toString.call(error);
    if (typeof code === "string" && code.startsWith("ERR_")) {
      return text.replace(/^(\w*Error)(?=:|$)/, `$1 [${code}]`);
    }
    return text;
  } catch {
    return "Error";
  }
}

// Where code was compiled to other code, positions are those of what was written.
function frameText(frame) {
  const name = nameOf(frame);
  const source = sourceOf(name);
  const text = String(frame);
  if (!source?.original) return text;
  const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
  const [to, at] = source.original(line, column);
  return text.replace(`${name}:${line}:${column}`, `${name}:${to}:${at}`);
}

function prepareStackTrace(error, frames) {
  const lines = kept(frames).map((frame) => `\n    at ${frameText(frame)}`);
  return headline(error) + lines.join("");
}

export function install() {
  Error.prepareStackTrace = prepareStackTrace;
}

function cut(text, characters) {
  if (text.length <= characters) return text;
  const half = characters >> 1;
  const left = text.length - 2 * half;
  return `${text.slice(0, half)}\n[... ${left} characters left out ...]\n${text.slice(-half)}`;
}

// As inspect shows VALUE; user code can make that fail.
export function describe(value, options) {
  try {
    return inspect(value, options);
  } catch {
    return `<${typeof value} that cannot be shown>`;
  }
}

function field(value, name) {
  try {
    const text = value[name];
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}

function place(text, position) {
  const found = FRAME.exec(text);
  if (position) return position;
  return found && { name: found[1], line: Number(found[2]), column: Number(found[3]) };
}

// Where the text ends, for what was missing there.
function lastOf(lines) {
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}

// The line that failed, with a mark under the column.
function excerpt({ name, line, column }) {
  const lines = sourceOf(name)?.lines ?? [];
  if (lines.length > 0 && line > lines.length) return excerpt({ name, ...lastOf(lines) });
  const text = lines[line - 1];
  if (text === undefined || text.length > LINE_CHARACTERS) return [];
  const mark = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [`${name}:${line}`, text, `${mark}^`, ""];
}

// Jupyter's ename, evalue and traceback of what was thrown. POSITION: where V8 says it
// was, for what has no stack.
export function errorContent(thrown, position) {
  const isError = types.isNativeError(thrown) || thrown instanceof Error;
  // Without a stack, inspect puts brackets around an error.
  const text = describe(thrown, { colors: false }).replace(/^\[(\w+: .*)\]$/s, "$1");
  const ename = isError ? (field(thrown, "name") ?? "Error") : "Uncaught";
  const evalue = isError ? (field(thrown, "message") ?? "") : text;
  const at = place(isError ? text : "", position);
  const lines = [
    ...(at ? excerpt(at) : []),
    ...cut(isError ? text : `Uncaught ${text}`, LIMITS.traceback).split("\n"),
  ];
  return {
    ename: cut(ename, LIMITS.ename),
    evalue: cut(evalue, LIMITS.evalue),
    traceback: lines,
  };
}
