// SPDX-License-Identifier: MIT
// Which request the running code belongs to. Output carries the number of its request:
// that of the cell which made the promise, timer or callback that runs now.
import { AsyncLocalStorage } from "node:async_hooks";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { syncBuiltinESMExports } from "node:module";
import { promisify } from "node:util";

import { fromJson, link } from "./link.mjs";

const { AbortController } = globalThis; // or else it is loaded in the middle of a cell

const storage = new AsyncLocalStorage();

export class Request {
  constructor(type, number, executionCount, metadata, content) {
    this.type = type;
    this.number = number;
    this.executionCount = executionCount;
    this.metadata = metadata ? fromJson(metadata) : {};
    this.content = content ? fromJson(content) : {};
    this.hasEnded = false;
    this.isStopped = false; // its timers do nothing any more
    this.abort = undefined; // for those that are promises
    this.displays = new Set(); // promises of displays under way
  }

  // Ends what the request has left to happen, for it was stopped.
  cancel() {
    this.isStopped = true;
    this.abort?.abort();
  }
}

let last = new Request(0, 0, 0);

export const current = () => storage.getStore() ?? last;

// Calls FUNCTION for REQUEST, as all that it starts will be.
export function runFor(request, work) {
  last = request;
  return storage.run(request, work);
}

// Calls WORK of Node's, which would leave its notes wrong if it were stopped: for good, and
// for all cells.
export function sheltered(work, ...given) {
  const before = link.shelter(true);
  try {
    return work(...given);
  } finally {
    link.shelter(before);
  }
}

// The timer itself knows whom it is for: code can be stopped before it has noted what it
// has just started.
function follow(name, clear) {
  const original = timers[name];
  const followed = {
    [name](callback, ...rest) {
      const request = current();
      if (typeof callback !== "function") return original(callback, ...rest);
      function timer(...given) {
        if (request.isStopped) clear(this);
        else callback.apply(this, given);
      }
      return sheltered(original, timer, ...rest);
    },
  }[name];
  Object.defineProperty(followed, promisify.custom, {
    enumerable: true,
    get: () => timersPromises[name],
  });
  timers[name] = followed;
  globalThis[name] = followed;
}

function followClear(name) {
  const original = timers[name];
  const followed = { [name]: (timer) => sheltered(original, timer) }[name];
  timers[name] = followed;
  globalThis[name] = followed;
}

let dropping; // the request whose ticks do nothing

// Until it is called again: REQUEST, or undefined for none.
export function dropTicksOf(request) {
  dropping = request;
}

function tick(request, callback, ...given) {
  if (request !== dropping) callback(...given);
}

function followTicks() {
  const original = process.nextTick;
  process.nextTick = function nextTick(callback, ...given) {
    if (typeof callback !== "function") original(callback);
    original(tick, current(), callback, ...given);
  };
}

function followPromises(name, optionsAt) {
  const original = timersPromises[name];
  timersPromises[name] = {
    [name](...given) {
      const request = current();
      if (!request.hasEnded && given[optionsAt]?.signal === undefined) {
        request.abort ??= new AbortController();
        given[optionsAt] = { ...given[optionsAt], signal: request.abort.signal };
      }
      return sheltered(original, ...given);
    },
  }[name];
}

// Node's own NAME. There is no other way to it than this old one.
function insideOfNode(name) {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  const found = process.binding(name);
  process.noDeprecation = noDeprecation;
  return found;
}

// Code that is stopped leaves Node's notes of what runs as they were; the addon mends
// them.
function keepContext() {
  const { async_hook_fields, async_id_fields, constants } = insideOfNode("async_wrap");
  link.keepContext(async_hook_fields, constants.kStackLength, async_id_fields);
}

// Calls WAIT, which waits without the event loop. An interrupt ends that, and what called.
export function waitFor(wait) {
  if (link.obey(false)) for (;;);
  const answer = wait();
  if (link.obey(answer?.signal === "SIGINT" || answer?.status === 130)) for (;;);
  return answer;
}

// An interrupt ends children that are waited for, too; some say so by their status.
function followChildren() {
  const children = insideOfNode("spawn_sync");
  const { spawn } = children;
  children.spawn = (options) => waitFor(() => spawn(options));
}

// Lets an interrupt end timers of the cell that it stops.
export function install() {
  keepContext();
  followChildren();
  follow("setTimeout", timers.clearTimeout);
  follow("setInterval", timers.clearInterval);
  follow("setImmediate", () => {});
  followClear("clearTimeout");
  followClear("clearInterval");
  followClear("clearImmediate");
  followTicks();
  followPromises("setTimeout", 2);
  followPromises("setImmediate", 1);
  followPromises("setInterval", 2);
  syncBuiltinESMExports();
}
