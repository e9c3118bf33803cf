// SPDX-License-Identifier: MIT
// Options of a run, and runs with callbacks.
import type { Connections } from "./connections.js";
import { ProtocolError } from "./errors.js";
import type { Event, InputRequest } from "./events.js";
import { jobOf, type Job } from "./job.js";
import { Execution, type ExecutionError, type Result } from "./result.js";
import { RunStream } from "./stream.js";
import { snakeName } from "./values.js";

const ABORT_MS = 5000; // that an aborted run has to end before it is left alone

/** How to run code. */
export interface RunSettings {
  /** Of the run itself, not of its wait. 0 or none: as long as the context allows. */
  timeoutMs?: number;
  /** "restart": a fresh interpreter at once. Default "interrupt". */
  onTimeout?: "interrupt" | "restart";
  /** When this client vanishes. Default "interrupt"; of a detached run "continue". */
  onDisconnect?: "interrupt" | "continue";
  /** ContextBusyError instead of waiting for others. */
  rejectIfBusy?: boolean;
  /** Count it, and keep the result as `_`. Default true. */
  storeHistory?: boolean;
  /** No result and not counted. */
  silent?: boolean;
  /** When it fails, what waits in this context is refused with AbortedError. */
  stopOnError?: boolean;
  /** Environment variables for this run alone. */
  env?: Record<string, string>;
  /** Evaluated after the code: `execution.userExpressions`. */
  userExpressions?: Record<string, string>;
  /** The code may ask for input. `onInput` implies it. */
  allowStdin?: boolean;
}

type Answer = void | Promise<void>;

/**
 * Called in the order of the events, one at a time: the next one waits for the promise of
 * the one before, and so does, in the end, the code. An exception in a callback ends the
 * run, and comes out of `runCode`.
 */
export interface Callbacks {
  onStdout?: (text: string) => Answer;
  onStderr?: (text: string) => Answer;
  /** Something was displayed, or the value of the last expression (`isMainResult`). */
  onResult?: (result: Result) => Answer;
  /** What was displayed under `result.displayId` has changed. */
  onDisplayUpdate?: (result: Result) => Answer;
  onError?: (error: ExecutionError) => Answer;
  /** Every event, before the callback of its type. */
  onEvent?: (event: Event) => Answer;
  /** The text for the code that asks for it. Other events go on meanwhile. */
  onInput?: (request: { prompt: string; password: boolean }) => string | Promise<string>;
}

export interface RunOptions extends RunSettings, Callbacks {
  /**
   * Aborting ends the run on the server. The promise is then rejected with the signal's
   * reason, when the run has ended, or after 5 s.
   */
  signal?: AbortSignal;
  /** Reply at once with a Job. */
  detach?: boolean;
}

/** Where to run: the id, with the epoch that must be the present one, or a language. */
export type Where =
  { context: string | { id: string; epoch: number } } | { language: string };

const SETTINGS = [
  "timeoutMs",
  "onTimeout",
  "onDisconnect",
  "rejectIfBusy",
  "storeHistory",
  "silent",
  "stopOnError",
  "env",
  "userExpressions",
  "allowStdin",
] as const satisfies readonly (keyof RunSettings)[];

const STREAMED = [
  "onStdout",
  "onStderr",
  "onResult",
  "onDisplayUpdate",
  "onError",
  "onEvent",
  "onInput",
  "signal",
] as const satisfies readonly (keyof RunOptions)[];

const KNOWN = new Set<string>([...SETTINGS, ...STREAMED, "detach"]);

/** The content of a `run_code_request`. An option that there is not is a TypeError. */
function contentOf(where: Where, code: string, options: RunOptions) {
  const content: Record<string, unknown> = { ...where, code };
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw new TypeError(`runCode has no option "${name}"`);
  }
  for (const name of SETTINGS) {
    if (options[name] !== undefined) content[snakeName(name)] = options[name];
  }
  return content;
}

function streamOf(connections: Connections, content: object): RunStream {
  const streamed = { ...content, stream: true };
  return new RunStream(connections, {
    type: "run_code_request",
    content: streamed,
    owns: true,
  });
}

/** The events of a run, which begins when the first one is asked for. */
export function streamCode(
  connections: Connections,
  where: Where,
  code: string,
  options: RunSettings,
): AsyncGenerator<Event, void, undefined> {
  return streamOf(connections, contentOf(where, code, options)).events();
}

export async function runCode(
  connections: Connections,
  where: Where,
  code: string,
  options: RunOptions,
): Promise<Execution | Job> {
  const content = contentOf(where, code, options);
  options.signal?.throwIfAborted();
  if (options.detach) {
    const given = STREAMED.find((name) => options[name] !== undefined);
    if (given) throw new TypeError(`a detached run has no ${given}: see Job.stream()`);
    return jobOf(connections, await ask(connections, { ...content, detach: true }));
  }
  if (!STREAMED.some((name) => options[name] !== undefined))
    return new Execution(await ask(connections, content));
  if (options.onInput) content["allow_stdin"] = true;
  return runWithCallbacks(streamOf(connections, content), options);
}

async function ask(connections: Connections, content: object) {
  const connection = await connections.main();
  return (await connection.request("run_code_request", content)).content;
}

async function runWithCallbacks(
  stream: RunStream,
  options: RunOptions,
): Promise<Execution> {
  const { signal } = options;
  let timer: NodeJS.Timeout | undefined;
  const abort = () => {
    stream.cancel().catch(() => {});
    timer = setTimeout(() => stream.fail(signal?.reason), ABORT_MS);
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const event of stream.events()) {
      if (signal?.aborted) {
        if (event.type === "end") break;
        continue; // whoever has aborted does not want to hear more
      }
      if (event.type === "end") return event.execution;
      if (event.type === "input_request") answer(stream, event, options.onInput);
      await tell(event, options);
    }
  } catch (error) {
    signal?.throwIfAborted(); // the server's refusal is only what follows from it
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
  signal?.throwIfAborted();
  throw new ProtocolError("the run has no outcome");
}

// Not awaited: the code's other threads may have something to say meanwhile.
function answer(
  stream: RunStream,
  request: InputRequest,
  onInput: Callbacks["onInput"],
): void {
  const ask = async () => {
    const { prompt, password } = request;
    if (onInput) await request.reply(await onInput({ prompt, password }));
  };
  ask().catch((error: unknown) => stream.fail(error));
}

async function tell(event: Event, to: Callbacks): Promise<void> {
  await to.onEvent?.(event);
  switch (event.type) {
    case "stdout":
      return to.onStdout?.(event.text);
    case "stderr":
      return to.onStderr?.(event.text);
    case "display":
    case "result":
      return to.onResult?.(event.result);
    case "update_display":
      return to.onDisplayUpdate?.(event.result);
    case "error":
      return to.onError?.(event.error);
    default:
      return undefined;
  }
}
