// SPDX-License-Identifier: MIT
// Cells as scripts: what V8's REPL mode does not take is written in another way. Lines
// stay where they are, and as far as possible columns.
import { parse } from "acorn";

import { IMPORT } from "./modules.mjs";

const OPTIONS = {
  ecmaVersion: "latest",
  sourceType: "script",
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
  allowHashBang: true,
};
const NEEDS_LOOK = /\b(?:import|export|const)\b|^\s*\{/;

function tryParse(code) {
  try {
    return parse(code, OPTIONS);
  } catch {
    return undefined;
  }
}

function apply(code, edits) {
  let at = 0;
  let text = "";
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    text += code.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return text + code.slice(at);
}

function* nodesIn(node) {
  yield node;
  for (const key of Object.keys(node)) {
    const child = node[key];
    if (Array.isArray(child)) {
      for (const item of child) if (item?.type) yield* nodesIn(item);
    } else if (child?.type) {
      yield* nodesIn(child);
    }
  }
}

// The names that a declaration's pattern binds.
function* boundNames(pattern) {
  if (pattern?.type === "Identifier") yield pattern.name;
  else if (pattern?.type === "MemberExpression") return;
  else if (pattern?.type === "Property") yield* boundNames(pattern.value);
  else if (pattern?.type === "AssignmentPattern") yield* boundNames(pattern.left);
  else if (pattern?.type === "RestElement") yield* boundNames(pattern.argument);
  else {
    const parts = pattern?.elements ?? pattern?.properties ?? [];
    for (const part of parts) yield* boundNames(part);
  }
}

const declaredNames = (declaration) =>
  declaration.declarations.flatMap((one) => [...boundNames(one.id)]);

function assignedNames(tree) {
  const names = new Set();
  for (const node of nodesIn(tree)) {
    const target =
      node.type === "AssignmentExpression" ||
      ((node.type === "ForInStatement" || node.type === "ForOfStatement") &&
        node.left.type !== "VariableDeclaration")
        ? node.left
        : node.type === "UpdateExpression"
          ? node.argument
          : undefined;
    for (const name of boundNames(target)) names.add(name);
  }
  return names;
}

const quoted = (name) => (name.type === "Literal" ? name.raw : name.name);
const textOf = (name) => (name.type === "Literal" ? name.value : name.name);

function attributesText(node) {
  if (!node.attributes?.length) return "undefined";
  const pairs = node.attributes.map((one) => `${quoted(one.key)}: ${one.value.raw}`);
  return `{with: {${pairs.join(", ")}}}`;
}

function importText(node, code) {
  const lines = code.slice(node.start, node.end).split("\n").length - 1;
  const named = node.specifiers.filter((one) => one.type !== "ImportNamespaceSpecifier");
  const space = node.specifiers.find((one) => one.type === "ImportNamespaceSpecifier");
  const exported = (one) =>
    one.type === "ImportDefaultSpecifier" ? "default" : textOf(one.imported);
  const wanted = JSON.stringify(named.map(exported));
  const call = `await ${IMPORT}(${node.source.raw}, ${attributesText(node)}, ${wanted})`;
  const pattern = named
    .map((one) => `${JSON.stringify(exported(one))}: ${one.local.name}`)
    .join(", ");
  let text = call;
  if (space && named.length > 0) {
    text = `let ${space.local.name} = ${call}, {${pattern}} = ${space.local.name}`;
  } else if (space) {
    text = `let ${space.local.name} = ${call}`;
  } else if (named.length > 0) {
    text = `let {${pattern}} = ${call}`;
  }
  return `${text};void 0;${"\n".repeat(lines)}`;
}

function blank(text) {
  return text.replace(/[^\n]/g, " ");
}

function exportEdit(node, code) {
  const edit = (end, text = blank(code.slice(node.start, end))) => ({
    start: node.start,
    end,
    text,
  });
  if (node.type === "ExportAllDeclaration" || node.source) {
    const call = `await ${IMPORT}(${node.source.raw});`;
    return edit(node.end, call + blank(code.slice(node.start, node.end)).trim());
  }
  return node.declaration ? edit(node.declaration.start) : edit(node.end);
}

function* edits(tree, code) {
  for (const node of nodesIn(tree)) {
    const isMeta = node.type === "MetaProperty" && node.meta.name === "import";
    if (node.type === "ImportExpression" || isMeta) {
      yield { start: node.start, end: node.start + IMPORT.length, text: IMPORT };
    } else if (node.type === "ImportDeclaration") {
      yield { start: node.start, end: node.end, text: importText(node, code) };
    } else if (/^Export/.test(node.type)) {
      yield exportEdit(node, code);
    }
  }
}

// A constant can be declared again in another way when it is a `let` behind the scenes;
// it stays constant in a cell that assigns to it.
function* constantEdits(tree) {
  const assigned = assignedNames(tree);
  for (const statement of tree.body) {
    const node = /^Export/.test(statement.type) ? statement.declaration : statement;
    if (node?.type !== "VariableDeclaration" || node.kind !== "const") continue;
    if (declaredNames(node).some((name) => assigned.has(name))) continue;
    yield { start: node.start, end: node.start + 5, text: "let  " };
  }
}

// What starts with a brace and can be an object is one.
function asObject(code) {
  if (!/^\s*\{/.test(code) || /;\s*$/.test(code)) return undefined;
  const wrapped = `(${code}\n)`;
  const tree = tryParse(wrapped);
  const isOne = tree?.body.length === 1 && tree.body[0].type === "ExpressionStatement";
  return isOne ? wrapped : undefined;
}

// CODE as V8 is to have it. What cannot be parsed stays: V8 knows best what is wrong.
export function rewrite(code) {
  if (!NEEDS_LOOK.test(code)) return code;
  const object = asObject(code);
  const text = object ?? code;
  const tree = tryParse(text);
  return tree ? apply(text, [...edits(tree, text), ...constantEdits(tree)]) : text;
}

// CODE, already rewritten, with the declaration of NAME in the form that goes with the
// one that there is: lexical (let, class) or a variable of the global object.
export function redeclare(code, name, isLexical) {
  const tree = tryParse(code);
  const wanted = isLexical ? "let" : "var";
  const changes = [];
  for (const node of tree?.body ?? []) {
    const isOne =
      node.type === "VariableDeclaration"
        ? declaredNames(node).includes(name) && node.kind !== wanted
        : (node.type === "FunctionDeclaration" && isLexical) ||
          (node.type === "ClassDeclaration" && !isLexical);
    if (!isOne) continue;
    if (node.type === "VariableDeclaration") {
      changes.push({
        start: node.start,
        end: node.start + node.kind.length,
        text: wanted,
      });
    } else if (node.id.name === name) {
      changes.push({ start: node.start, end: node.start, text: `${wanted} ${name} = ` });
      changes.push({ start: node.end, end: node.end, text: ";" });
    }
  }
  return changes.length > 0 ? apply(code, changes) : undefined;
}
