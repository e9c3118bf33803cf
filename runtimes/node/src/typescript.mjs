// SPDX-License-Identifier: MIT
// TypeScript as JavaScript. Types are replaced by spaces, so that each position stays;
// what is more than types (enums, namespaces, parameter properties) is compiled, with a
// map from its positions to those of the source. Types are not checked.
import { SourceMap } from "node:module";

import { transformSync } from "amaro";

const TRANSFORM = {
  verbatimModuleSyntax: true, // an import may be for a later cell
  nativeClassProperties: true,
  noEmptyExport: true,
};

// A refusal of the compiler's, as V8 would tell it.
function refused(refusal) {
  if (typeof refusal?.message !== "string") return refusal;
  const thrown = new SyntaxError(refusal.message);
  thrown.stack = `SyntaxError: ${refusal.message}`;
  return { thrown, line: refusal.startLine, column: refusal.startColumn + 1 };
}

function positions(map) {
  const payload = new SourceMap(JSON.parse(map));
  return (line, column) => {
    const entry = payload.findEntry(line - 1, column - 1);
    if (entry.originalLine === undefined) return [line, column];
    const past =
      entry.generatedLine === line - 1 ? column - 1 - entry.generatedColumn : 0;
    return [entry.originalLine + 1, entry.originalColumn + 1 + past];
  };
}

function transform(code, name) {
  const made = transformSync(code, {
    mode: "transform",
    module: true,
    sourceMap: true,
    filename: name,
    transform: TRANSFORM,
  });
  return { text: made.code, original: positions(made.map) };
}

// {text, original}: the JavaScript of CODE, and where that was in CODE if it has moved.
// Throws {thrown, line, column} if it is none.
export function compile(code, name) {
  try {
    return { text: transformSync(code, { mode: "strip-only", filename: name }).code };
  } catch (refusal) {
    if (refusal?.code !== "UnsupportedSyntax") throw refused(refusal);
  }
  try {
    return transform(code, name);
  } catch (refusal) {
    throw refused(refusal);
  }
}
