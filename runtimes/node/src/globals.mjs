// SPDX-License-Identifier: MIT
// What cells find beside JavaScript and Node: `display`, the browser's questions, Node's
// modules by their names, and a `process.exit` that ends the cell.
import Module from "node:module";

import { exit } from "./cells.mjs";
import { describe } from "./errors.mjs";
import { display } from "./display.mjs";
import { fromJson, link, toJson } from "./link.mjs";
import { current, waitFor } from "./requests.mjs";
import { stderr, stdout } from "./streams.mjs";

const NAME = /^[a-z][a-z\d_]*$/;

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

// Asks the user one line; null: there is none. Error: nobody can be asked.
function ask(question, password = false) {
  const request = current();
  if (!request.content.allow_stdin) {
    throw new Error("input was asked for, but this frontend does not support it");
  }
  if (request.hasEnded) throw new Error("input was asked for after the cell's end");
  const content = toJson({ prompt: `${question}`, password });
  const answer = waitFor(() => link.ask(request.number, content));
  const value = answer === undefined ? "\x04" : fromJson(answer).value;
  return typeof value !== "string" || value === "\x04" ? null : value;
}

function prompt(message = "", given = null, options = {}) {
  const answer = ask(message, options?.password === true);
  return answer === "" && given !== null ? `${given}` : answer;
}

function confirm(message = "") {
  return /^\s*y(es)?\s*$/i.test(ask(`${message} [y/N] `) ?? "");
}

function alert(message = "") {
  stdout.write(`${message}\n`);
}

// As in Node's own console: `fs` is there without an import.
function installModules() {
  for (const name of Module.builtinModules.filter((one) => NAME.test(one))) {
    if (name in globalThis) continue;
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        const value = process.getBuiltinModule?.(name) ?? globalThis.require(name);
        define(name, value);
        return value;
      },
      set: (value) => define(name, value),
    });
  }
}

function installExit() {
  process.exit = function exitCell(code = process.exitCode ?? 0) {
    exit(current(), code);
    throw new Error(`process.exit(${code}) of a cell that has ended: nothing ends`);
  };
  process.on("SIGINT", () => {}); // or else a listener of the user's takes the signal over
}

function report(error) {
  stderr.write(`Uncaught ${describe(error, { colors: false })}\n`);
}

function installReports() {
  process.on("uncaughtException", (error) => report(error));
  process.on("unhandledRejection", (error) => {
    stderr.write(`Uncaught (in promise) ${describe(error, { colors: false })}\n`);
  });
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    const { name, code, message } = warning;
    if (name === "ExperimentalWarning" && /import|JSON/i.test(message)) return;
    stderr.write(`(${code ? `${code} ` : ""}${name}) ${message}\n`);
  });
}

export function install() {
  define("display", display);
  Object.entries({ prompt, confirm, alert }).forEach(([name, value]) =>
    define(name, value),
  );
  installModules();
  installExit();
  installReports();
  process.argv = [process.execPath];
}
