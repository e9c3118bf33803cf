// SPDX-License-Identifier: MIT
// Whether code is complete, by V8's own judgement: what it refuses only where the text
// ends is not complete yet.
import { compileError } from "./engine.mjs";
import { rewrite } from "./rewrite.mjs";

const OPEN_IMPORT = /(?:^|\n)[ \t]*import\s*(?:[\w$]+\s*,\s*)?\{[^}'"]*$/;
const IMPORTS = /^([ \t]*)(?:import|export)\b(?!\s*[(.])[^;'"]*?(?:['"][^'"\n]*['"])?/gm;
const HEAD = "(async function () {";
const OPEN_COMMENT = /\/\*(?:(?!\*\/)[\s\S])*$/;
const AT_EOF = /got '<eof>'|Unterminated (?:template|block comment)/;
const AT_END = /Unexpected end of input|Unterminated template|missing \) after/;

// The text ends within its last construct: only more of it can mend that.
function isOpen(code) {
  const error = compileError(HEAD + code);
  if (!error) return false;
  const lines = code.split("\n");
  const column = lines.at(-1).length + (lines.length === 1 ? HEAD.length : 0);
  const isAtEnd = error.line === lines.length - 1 && error.column >= column;
  return isAtEnd || (AT_END.test(error.message) && error.line >= lines.length - 1);
}

function indentOf(code) {
  const lines = code.trimEnd().split("\n");
  const indent = /^\s*/.exec(lines.at(-1))[0];
  return /[{[(]\s*$/.test(lines.at(-1)) ? `${indent}  ` : indent;
}

// A refusal of the language's compiler is about the end of the text.
function isAtEnd({ thrown, line, column }, code) {
  if (AT_EOF.test(thrown?.message)) return true;
  const lines = code.trimEnd().split("\n");
  return line > lines.length || (line === lines.length && column > lines.at(-1).length);
}

// The content of an is_complete_reply.
export async function isComplete({ code }, language) {
  const incomplete = { status: "incomplete", indent: indentOf(code) };
  let text;
  try {
    ({ text } = await language.prepare(code, "cell"));
  } catch (refusal) {
    return isAtEnd(refusal, code) ? incomplete : { status: "invalid" };
  }
  if (OPEN_IMPORT.test(text)) return { ...incomplete, indent: "  " };
  const script = rewrite(text);
  if (!compileError(`${HEAD}${script}\n})`)) return { status: "complete" };
  const plain = script.replace(IMPORTS, (match) => match.replace(/[^\n]/g, " "));
  return isOpen(plain) || OPEN_COMMENT.test(plain) ? incomplete : { status: "invalid" };
}
