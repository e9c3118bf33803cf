// SPDX-License-Identifier: MIT
// Which request the running code belongs to. Output carries the number of its request:
// that of the cell which made the promise, timer or callback that runs now.
import { AsyncLocalStorage } from "node:async_hooks";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { syncBuiltinESMExports } from "node:module";
import { promisify } from "node:util";

import { fromJson, link } from "./link.mjs";

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

// The timer itself knows whom it is for: code can be stopped before it has noted what it
// has just started.
function follow(name, clear) {
  const original = timers[name];
  const followed = {
    [name](callback, ...rest) {
      const request = current();
      if (typeof callback !== "function") return original(callback, ...rest);
      return original(
        function timer(...given) {
          if (request.isStopped) clear(this);
          else callback.apply(this, given);
        },
        ...rest,
      );
    },
  }[name];
  Object.defineProperty(followed, promisify.custom, {
    enumerable: true,
    get: () => timersPromises[name],
  });
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
  follow("setTimeout", timers.clearTimeout);
  follow("setInterval", timers.clearInterval);
  follow("setImmediate", () => {});
  followTicks();
  followPromises("setTimeout", 2);
  followPromises("setImmediate", 1);
  followPromises("setInterval", 2);
  syncBuiltinESMExports();
}
