// SPDX-License-Identifier: MIT
// What a name stands for: its type, signature, documentation, and value or source, from
// the live state and without side effects.
import { inspect, types } from "node:util";

import { peek } from "./engine.mjs";
import { chainStart, toIndex, wordEnd } from "./expression.mjs";
import { allSources } from "./sources.mjs";

const SOURCE_CHARACTERS = 20_000;
const NOTHING = { status: "ok", found: false, data: {}, metadata: {} };

// The expression at the cursor, or that whose arguments are being written.
function expressionAt(code, cursor) {
  const index = toIndex(code, cursor);
  let end = wordEnd(code, index);
  let text = code.slice(chainStart(code, end), end);
  if (text === "") {
    end = code.lastIndexOf("(", index - 1);
    text = end > 0 ? code.slice(chainStart(code, end), end) : "";
  }
  return text.replace(/^\W*\?\./, "").trim();
}

// The comment in front of a function, where its cell or its own text shows one.
function commentOf(source) {
  for (const { text } of recentSources(source)) {
    const before = text.slice(0, text.indexOf(source)).replace(/[\w\s=.$]*$/, "");
    const block = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/$/.exec(before);
    if (block) return clean(block[1]);
    const lines = /(?:^|\n)((?:[ \t]*\/\/.*\n?)+)$/.exec(
      text.slice(0, text.indexOf(source)).replace(/[\w =.$]*$/, ""),
    );
    if (lines) return lines[1].replace(/^[ \t]*\/\/ ?/gm, "").trim();
  }
  return undefined;
}

const clean = (comment) =>
  comment
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, ""))
    .join("\n")
    .trim();

function* recentSources(source) {
  for (const one of allSources()) if (one.text.includes(source)) yield one;
}

function sourceText(value) {
  try {
    return Function.prototype.toString.call(value);
  } catch {
    return "";
  }
}

function signature(name, source) {
  const isNative = source.endsWith("{ [native code] }");
  const isClass = source.startsWith("class");
  const found = isClass ? /constructor\s*(\([^)]*\))/.exec(source) : null;
  if (isClass) return `class ${name}${found ? found[1] : "()"}`;
  const head = /^[^{]*?(\((?:[^()]|\([^()]*\))*\))/.exec(source);
  return isNative
    ? undefined
    : `${name}${head ? head[1] : `(${source.split("=>")[0].trim()})`}`;
}

function kind(value) {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  if (types.isProxy(value)) return "Proxy";
  const made = Object.getPrototypeOf(value)?.constructor;
  return typeof made?.name === "string" && made.name !== "" ? made.name : "object";
}

function describeFunction(name, value, detail) {
  const source = sourceText(value);
  const isNative = source.endsWith("{ [native code] }");
  const lines = [
    ["Signature", signature(name, source) ?? `${name}, ${value.length} parameters`],
    ["Type", source.startsWith("class") ? "class" : "function"],
    ["Doc", isNative ? undefined : commentOf(source)],
  ];
  if (detail > 0 && !isNative) lines.push(["Source", source.slice(0, SOURCE_CHARACTERS)]);
  return lines;
}

function describeValue(value) {
  const shown = inspect(value, { depth: 1, customInspect: false, getters: false });
  const size = value?.length ?? value?.size;
  return [
    ["Type", kind(value)],
    ["Length", typeof size === "number" ? String(size) : undefined],
    ["Value", shown.slice(0, SOURCE_CHARACTERS)],
  ];
}

// The content of an inspect_reply.
export function inspectCode({ code, cursor_pos: cursor, detail_level: detail = 0 }) {
  const expression = expressionAt(code, cursor);
  const found = expression && peek(`(${expression})`);
  if (!found) return NOTHING;
  const { value } = found;
  const name = expression.split(".").at(-1);
  const lines =
    typeof value === "function"
      ? describeFunction(name, value, detail)
      : describeValue(types.isProxy(value) ? {} : value);
  const text = lines
    .filter(([, content]) => content !== undefined && content !== "")
    .map(([title, content]) =>
      content.includes("\n") ? `${title}:\n${content}` : `${title}: ${content}`,
    )
    .join("\n");
  return { status: "ok", found: true, data: { "text/plain": text }, metadata: {} };
}
