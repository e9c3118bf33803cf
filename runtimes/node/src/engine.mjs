// SPDX-License-Identifier: MIT
// V8's inspector, in the same thread: evaluates code as a browser's console does, and
// answers questions about the live state.
//
// An evaluation under way is kept alive here. When V8 collects one that nothing can end
// any more, it tells the session so, in the middle of collecting garbage, and Node ends.
import { Session } from "node:inspector";
import { promiseHooks } from "node:v8";

const { Error, Object } = globalThis; // user code may replace them

const GROUP = "cell";

let session;
let stashId;
let stashed;
let underWay; // the promise of the evaluation
let stopLooking = () => {}; // for it

// Calls METHOD, which answers at once. Throws what the inspector objects to.
export function post(method, params) {
  let failure;
  let answer;
  session.post(method, params, (error, result) => {
    failure = error;
    answer = result;
  });
  if (failure) throw Object.assign(new Error(failure.message), { code: failure.code });
  return answer;
}

export function connect() {
  session = new Session();
  session.connect();
  globalThis.$stash = (value) => {
    stashed = value;
  };
  stashId = post("Runtime.evaluate", { expression: "$stash" }).result.objectId;
  delete globalThis.$stash;
}

// Forgets the evaluation under way: its `done` will not be called.
export function abandon() {
  stopLooking();
  session.disconnect();
  underWay = undefined;
  connect();
}

function special(text) {
  return text.endsWith("n") ? BigInt(text.slice(0, -1)) : Number(text);
}

// The value that REMOTE, one of the inspector's, stands for.
export function live(remote) {
  if (remote.objectId === undefined) {
    if (remote.unserializableValue !== undefined) {
      return special(remote.unserializableValue);
    }
    return remote.subtype === "null" ? null : remote.value;
  }
  post("Runtime.callFunctionOn", {
    objectId: stashId,
    functionDeclaration: "function (value) { this(value); }",
    arguments: [{ objectId: remote.objectId }],
    silent: true,
  });
  const value = stashed;
  stashed = undefined;
  return value;
}

function release() {
  session.post("Runtime.releaseObjectGroup", { objectGroup: GROUP });
}

// Runs CODE; `done(failure, value)` is called when its last `await` is over. FAILURE:
// {thrown, line, column}, the position counted from 1 and only known of what V8 refuses.
export function evaluate(code, done) {
  const params = {
    expression: code,
    replMode: true,
    silent: true,
    objectGroup: GROUP,
  };
  stopLooking(); // stopped code has not
  underWay = undefined;
  stopLooking = promiseHooks.onInit((promise) => {
    underWay ??= promise; // the first is that of the script itself
  });
  session.post("Runtime.evaluate", params, (error, answer) => {
    if (error) return; // it was stopped: who stopped it knows
    underWay = undefined;
    const { result, exceptionDetails: details } = answer;
    const value = live(details ? (details.exception ?? result) : result);
    release();
    if (details) {
      done({
        thrown: value,
        line: details.lineNumber + 1,
        column: details.columnNumber + 1,
      });
    } else {
      done(undefined, value);
    }
  });
  stopLooking();
}

// The value of EXPRESSION, if that can be known without side effects: {value}, else
// undefined. `location`: where a function was written, {scriptId, lineNumber}.
export function peek(expression) {
  try {
    const { result, exceptionDetails } = post("Runtime.evaluate", {
      expression,
      throwOnSideEffect: true,
      silent: true,
      timeout: 1000,
      objectGroup: GROUP,
    });
    if (exceptionDetails) return undefined;
    return { value: live(result), remote: result };
  } catch {
    return undefined;
  } finally {
    release();
  }
}

export function lexicalNames() {
  return post("Runtime.globalLexicalScopeNames", {}).names;
}

// Why V8 refuses CODE, which must do nothing when run (an expression that is a function):
// {message, line, column} from 0, or undefined.
export function compileError(code) {
  const { exceptionDetails: details } = post("Runtime.evaluate", {
    expression: code,
    throwOnSideEffect: true,
    silent: true,
    objectGroup: GROUP,
  });
  release();
  if (!details) return undefined;
  const message = details.exception?.description?.split("\n")[0] ?? details.text;
  return { message, line: details.lineNumber, column: details.columnNumber };
}
