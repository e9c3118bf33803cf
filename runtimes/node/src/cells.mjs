// SPDX-License-Identifier: MIT
// Runs cells. User code can be stopped at any moment, with all frames below it, so nothing
// here waits for a frame to return: what has to happen at the end is in `running`.
import { types } from "node:util";

import * as engine from "./engine.mjs";
import { errorContent } from "./errors.mjs";
import { formatResult } from "./display.mjs";
import { link, send, sendReply } from "./link.mjs";
import { forgetHalves } from "./modules.mjs";
import { dropTicksOf, runFor } from "./requests.mjs";
import { rewrite, redeclare } from "./rewrite.mjs";
import { keep } from "./sources.mjs";
import { give } from "./variables.mjs";

const { Promise, Object, String } = globalThis; // user code may replace them

let running; // the run under way: {request, finish, stop: why it was stopped}
let exitCode = 0;

// What ended a run, other than a value: the error's content, made where the error was.
class Failure {
  constructor(content) {
    this.content = content;
  }
}

// Calls WORK, which is user code and may be stopped; then FINISH(stop, failure, value).
export function enter(request, work, finish) {
  running = { request, finish, stop: undefined };
  if (!link.enter()) {
    end(link.STOP_INTERRUPT);
    return;
  }
  const leave = (failure, value) => {
    if (!request.hasEnded) end(link.leave(), failure, value); // else it was stopped
  };
  runFor(request, work).then((value) => leave(undefined, value), leave);
}

function end(stop, failure, value) {
  const { request, finish } = running;
  running = undefined;
  request.hasEnded = true;
  finish(stop, failure, value);
}

// User code was stopped. What it has left in Node's queues must not run when nothing can
// stop it any more: it runs now, and what of that has to be stopped, too, is dropped.
export function stopped(stop) {
  if (running === undefined) return;
  const { request } = running;
  if (running.stop !== undefined) dropTicksOf(request);
  running.stop ??= stop;
  request.hasEnded = true;
  request.cancel();
  forgetHalves();
  engine.abandon();
  link.drain();
}

// Nothing is left of the code that was stopped.
export function drained() {
  dropTicksOf(undefined);
  if (running !== undefined) end(running.stop);
}

// `process.exit` of a cell ends the cell.
export function exit(request, code) {
  if (running?.request !== request) return false;
  exitCode = code;
  if (link.stop(link.STOP_EXIT)) for (;;);
  return false;
}

function nameOf(request) {
  const stored = request.content.store_history ?? true;
  const count = request.executionCount;
  return stored && !request.content.silent ? `In[${count}]` : `cell-${request.number}`;
}

function evaluate(code, name) {
  return new Promise((resolve, reject) => {
    engine.evaluate(`${code}\n//# sourceURL=${name}`, (failure, value) => {
      if (failure) reject(failure);
      else resolve({ value }); // a promise is not waited for here
    });
  });
}

// Evaluates CODE. What was declared before, in another way, can be declared again: V8 has
// refused the code before any of it ran.
async function evaluateAgain(code, name) {
  for (let tries = 0; ; tries++) {
    try {
      return await evaluate(code, name);
    } catch (failure) {
      const found = /^Identifier '(.+)' has already been declared$/.exec(
        failure.thrown?.name === "SyntaxError" ? failure.thrown.message : "",
      );
      const again =
        found &&
        tries < 100 &&
        redeclare(code, found[1], engine.lexicalNames().includes(found[1]));
      if (!again) throw failure;
      code = again;
    }
  }
}

function failureOf(failure, name) {
  if (failure instanceof Failure) return failure;
  const isPlaced = failure?.thrown !== undefined || "thrown" in Object(failure);
  const thrown = isPlaced ? failure.thrown : failure;
  const isSyntax = isPlaced && types.isNativeError(thrown) && failure.line !== undefined;
  const wasRefused = isSyntax && thrown.name === "SyntaxError" && isOfCell(thrown);
  const position = wasRefused && { name, line: failure.line, column: failure.column };
  return new Failure(errorContent(thrown, position || undefined));
}

// V8 refused the cell itself, not something that the cell has compiled.
const isOfCell = (error) => !/\n\s+at /.test(error.stack ?? "");

async function runCell(request, prepare) {
  const name = nameOf(request);
  const { code } = request.content;
  let answer;
  try {
    keep(name, code);
    const { text, original } = await prepare(code, name);
    if (original) keep(name, code, original);
    answer = await evaluateAgain(rewrite(text), name);
    if (types.isPromise(answer.value)) answer.value = await answer.value;
    for (const display of request.displays) await display;
  } catch (error) {
    throw failureOf(error, name);
  }
  try {
    if (!request.content.silent) await show(request, answer.value);
    return await expressions(request.content.user_expressions ?? {});
  } catch (error) {
    throw failureOf(error, name);
  }
}

async function show(request, value) {
  const bundle = await formatResult(value);
  if (bundle === undefined) return;
  const content = { execution_count: request.executionCount, ...bundle };
  send(link.EXECUTE_RESULT, request, content);
}

async function expressions(wanted) {
  const answers = {};
  for (const [name, code] of Object.entries(wanted)) {
    try {
      let { value } = await evaluate(rewrite(String(code)), "expression");
      if (types.isPromise(value)) value = await value;
      const bundle = (await formatResult(value)) ?? {
        data: { "text/plain": "undefined" },
        metadata: {},
      };
      answers[name] = { status: "ok", ...bundle };
    } catch (failure) {
      answers[name] = { status: "error", ...failureOf(failure, "expression").content };
    }
  }
  return answers;
}

function stopContent(stop) {
  const [ename, evalue] = {
    [link.STOP_INTERRUPT]: ["Interrupted", "the cell was interrupted"],
    [link.STOP_EXIT]: ["SystemExit", String(exitCode)],
    [link.STOP_HEAP]: [
      "RangeError",
      "JavaScript heap out of memory: the cell was stopped, variables are kept",
    ],
  }[stop];
  return { ename, evalue, traceback: [evalue ? `${ename}: ${evalue}` : ename] };
}

// Answers an execute request. PREPARE(code, name): the JavaScript of it.
export function execute(request, prepare) {
  let putBack = () => {};
  let early;
  try {
    putBack = give(request.metadata);
  } catch (error) {
    early = new Failure(errorContent(error));
  }
  const work = () => (early ? Promise.reject(early) : runCell(request, prepare));
  enter(request, work, (stop, failure, answers) => {
    putBack();
    link.restore();
    reply(request, stop, failure, answers);
  });
}

function reply(request, stop, failure, answers) {
  const content = {
    status: "ok",
    execution_count: request.executionCount,
    user_expressions: answers ?? {},
    payload: [],
  };
  let flags = 0;
  if (stop !== link.STOP_NONE || failure) {
    const error = stop === link.STOP_NONE ? failure.content : stopContent(stop);
    flags = link.FLAG_ERROR;
    if (stop === link.STOP_INTERRUPT) flags |= link.FLAG_INTERRUPTED;
    Object.assign(content, error, { status: "error", user_expressions: {} });
    request.hasEnded = false;
    send(link.ERROR, request, error);
    request.hasEnded = true;
  }
  sendReply(request, content, flags);
}
