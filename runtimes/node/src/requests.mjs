// SPDX-License-Identifier: MIT
// Which request the running code belongs to. Output carries the number of its request:
// that of the cell which made the promise, timer or callback that runs now.
import { AsyncLocalStorage } from "node:async_hooks";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { syncBuiltinESMExports } from "node:module";

import { fromJson, link } from "./link.mjs";

const storage = new AsyncLocalStorage();
const SWEEP_AT = 1000;

export class Request {
  constructor(type, number, executionCount, metadata, content) {
    this.type = type;
    this.number = number;
    this.executionCount = executionCount;
    this.metadata = metadata ? fromJson(metadata) : {};
    this.content = content ? fromJson(content) : {};
    this.hasEnded = false;
    this.timers = new Set(); // what an interrupt takes from a cell that waits
    this.abort = undefined;
    this.displays = new Set(); // promises of displays under way
  }

  // Ends what the request has left to happen, for it was stopped.
  cancel() {
    for (const timer of this.timers) {
      timer instanceof timers.Immediate
        ? timers.clearImmediate(timer)
        : timers.clearTimeout(timer);
    }
    this.abort?.abort();
  }

  end() {
    this.hasEnded = true;
    this.timers.clear();
  }
}

let last = new Request(0, 0, 0);

export const current = () => storage.getStore() ?? last;

// Calls FUNCTION for REQUEST, as all that it starts will be.
export function runFor(request, work) {
  last = request;
  return storage.run(request, work);
}

function track(timer) {
  const request = current();
  if (!request.hasEnded && request.number > 0) {
    if (request.timers.size >= SWEEP_AT) {
      for (const other of request.timers) {
        if (other._destroyed) request.timers.delete(other);
      }
    }
    request.timers.add(timer);
  }
  return timer;
}

function follow(name) {
  const original = timers[name];
  const tracked = { [name]: (...given) => track(original(...given)) }[name];
  Object.defineProperties(tracked, Object.getOwnPropertyDescriptors(original));
  timers[name] = tracked;
  globalThis[name] = tracked;
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
      return original.apply(this, given);
    },
  }[name];
}

// Code that is stopped leaves Node's notes of what runs as they were; the addon mends
// them. There is no other way to them than this old one.
function keepContext() {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  const { async_hook_fields, async_id_fields, constants } = process.binding("async_wrap");
  process.noDeprecation = noDeprecation;
  link.keepContext(async_hook_fields, constants.kStackLength, async_id_fields);
}

// Lets an interrupt end timers of the cell that it stops.
export function install() {
  keepContext();
  timers.Immediate = timers.setImmediate(() => {}).constructor;
  for (const name of ["setTimeout", "setInterval", "setImmediate"]) follow(name);
  followPromises("setTimeout", 2);
  followPromises("setImmediate", 1);
  followPromises("setInterval", 2);
  syncBuiltinESMExports();
}
