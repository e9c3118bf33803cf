// SPDX-License-Identifier: MIT
// Completion from the live state, without side effects: members of values, global names,
// keywords, and in strings of imports the modules and files that there are.
import { readdirSync } from "node:fs";
import Module from "node:module";
import path from "node:path";
import { types } from "node:util";

import { lexicalNames, peek } from "./engine.mjs";
import { chainStart, toCursor, toIndex, wordStart } from "./expression.mjs";
import { IMPORT } from "./modules.mjs";

const KEYWORDS = (
  "async await break case catch class const continue debugger default delete do else " +
  "export extends false finally for from function if import in instanceof let new null " +
  "of return static super switch this throw true try typeof undefined var void while yield"
).split(" ");
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const IMPORT_STRING =
  /(?:\brequire\s*\(\s*|\bimport\s*\(\s*|\bfrom\s*|\bimport\s+)(["'])([^"'\n]*)$/;
const MATCHES_MAX = 2000;
const TYPES_KEY = "_jupyter_types_experimental";

function typeOf(descriptor) {
  if (descriptor === undefined || descriptor.get || descriptor.set) return "property";
  const { value } = descriptor;
  if (typeof value !== "function") return "property";
  return /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "function";
}

// Names and types of the members of VALUE, nearest first. A proxy would be asked.
function members(value) {
  const found = new Map();
  let object = value === null || value === undefined ? null : Object(value);
  while (object !== null && !types.isProxy(object)) {
    if (!ArrayBuffer.isView(object) && !(typeof object === "string")) {
      for (const name of Object.getOwnPropertyNames(object)) {
        if (found.size >= MATCHES_MAX) return found;
        if (found.has(name) || !IDENTIFIER.test(name)) continue;
        found.set(name, typeOf(Object.getOwnPropertyDescriptor(object, name)));
      }
    }
    object = Object.getPrototypeOf(object);
  }
  return found;
}

function globalNames() {
  const found = new Map(lexicalNames().map((name) => [name, "variable"]));
  for (const [name, type] of members(globalThis)) {
    if (name !== IMPORT && !found.has(name)) found.set(name, type);
  }
  for (const name of KEYWORDS) found.set(name, "keyword");
  return found;
}

function filesIn(folder, prefix) {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith("."))
      .map((entry) => prefix + entry.name + (entry.isDirectory() ? "/" : ""));
  } catch {
    return [];
  }
}

function packagesIn(folder) {
  return filesIn(folder, "").flatMap((name) =>
    name.startsWith("@") ? filesIn(path.join(folder, name), name) : [name],
  );
}

// Modules whose names begin as TEXT, in a cell's import.
function moduleNames(text) {
  if (/^\.{0,2}\//.test(text)) {
    const folder = text.slice(0, text.lastIndexOf("/") + 1);
    return filesIn(path.resolve(folder), folder);
  }
  const names = Module._nodeModulePaths(process.cwd()).flatMap(packagesIn);
  const packages = names.map((name) => name.replace(/\/$/, ""));
  const builtin = Module.builtinModules.filter((name) => !name.startsWith("_"));
  return [...builtin, ...builtin.map((name) => `node:${name}`), ...packages];
}

function candidates(code, end) {
  const inString = IMPORT_STRING.exec(code.slice(0, end));
  if (inString) {
    const names = moduleNames(inString[2]);
    return [end - inString[2].length, new Map(names.map((name) => [name, "module"]))];
  }
  const start = wordStart(code, end);
  const dot = code[start - 1] === "." ? (code[start - 2] === "?" ? 2 : 1) : 0;
  if (dot === 0) return [start, globalNames()];
  const objectEnd = start - dot;
  const expression = code.slice(chainStart(code, objectEnd), objectEnd).trim();
  if (expression === "" || /^[\d.]+$/.test(expression)) return [start, new Map()];
  const found = peek(`(${expression})`);
  return [start, found ? members(found.value) : new Map()];
}

// The content of a complete_reply.
export function complete({ code, cursor_pos: cursor }) {
  const end = toIndex(code, cursor);
  const [start, names] = candidates(code, end);
  const prefix = code.slice(start, end);
  const wanted = [...names].filter(([name]) => name.startsWith(prefix));
  if (prefix !== "" || names.size > 200) wanted.sort(([a], [b]) => (a < b ? -1 : 1));
  const place = { start: toCursor(code, start), end: toCursor(code, end) };
  return {
    status: "ok",
    matches: wanted.map(([name]) => name),
    cursor_start: place.start,
    cursor_end: place.end,
    metadata: {
      [TYPES_KEY]: wanted.map(([text, type]) => ({
        ...place,
        text,
        type,
        signature: "",
      })),
    },
  };
}
