// SPDX-License-Identifier: MIT
// A client of one server.
import { Connections } from "./connections.js";
import { ConnectionLostError, ProtocolError, ServerNotFoundError } from "./errors.js";
import { Context, contextInfoOf, type ContextOptions, type Limits } from "./context.js";
import type { Event } from "./events.js";
import { Files } from "./files.js";
import { Job } from "./job.js";
import type { Execution } from "./result.js";
import { runCode, streamCode, type RunOptions, type RunSettings } from "./run.js";
import { findServerFile, readServerFile } from "./server-file.js";
import * as read from "./values.js";
import type { JsonObject } from "./values.js";

const PROTOCOL = 1;
const SILENCE_MS = 15_000;

export interface ConnectOptions {
  /** The path of a server.json, or of a client's own file. Default: CELLWALL_SERVER, or
   * the file of the server that runs for this user. */
  server?: string;
  /**
   * ConnectionLostError when a request waits and nothing has come from the server for so
   * long; it says something every second. Default 15 s.
   */
  silenceMs?: number;
}

/** Where to run: in a context, or in the default one of a language (Python). */
export interface Target {
  context?: Context | string;
  language?: string;
}

export interface ServerInfo {
  version: string;
  protocol: number;
  owner: string;
  languages: {
    language: string;
    runtime: string;
    displayName: string;
    version: string;
  }[];
  isolation: { tier: string; missing: string | null };
  limits: { defaults: Limits; ceilings: Limits };
  bounds: Record<string, number>;
  network: string;
  jupyter: boolean;
  contexts: number;
  executions: number;
  uptimeMs: number;
}

export class Client implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #onClose: () => Promise<void>;
  #closing: Promise<void> | null = null;

  private constructor(connections: Connections, onClose: () => Promise<void>) {
    this.#connections = connections;
    this.#onClose = onClose;
  }

  /** A client of the server that runs for this user, or of another that is named. */
  static connect(options: ConnectOptions = {}): Promise<Client> {
    return Client.open(options, async () => {});
  }

  /** @internal ON_CLOSE: called once, after the connections are closed. */
  static async open(
    options: ConnectOptions,
    onClose: () => Promise<void>,
  ): Promise<Client> {
    const find = async () => readServerFile(await findServerFile(options.server));
    const connections = new Connections(find, options.silenceMs ?? SILENCE_MS);
    const client = new Client(connections, onClose);
    try {
      await client.#greet();
    } catch (error) {
      await connections.close();
      throw error;
    }
    return client;
  }

  async #greet(): Promise<void> {
    let info: ServerInfo;
    try {
      info = await this.serverInfo();
    } catch (cause) {
      if (!(cause instanceof ConnectionLostError)) throw cause;
      throw new ServerNotFoundError(cause.message, {
        cause,
        suggestion: "it may have been killed, or the key in the file is not its key",
      });
    }
    if (info.protocol !== PROTOCOL) {
      const theirs = `it speaks version ${info.protocol} of the agent protocol`;
      throw new ProtocolError(`the server is not for this client: ${theirs}`, {
        suggestion: `this package speaks version ${PROTOCOL}`,
      });
    }
  }

  async serverInfo(): Promise<ServerInfo> {
    return serverInfoOf(await this.#ask("server_info_request", {}));
  }

  /** With `detach` a Job; else the outcome. A timeout is no exception: see `reason`. */
  runCode(code: string, options: RunOptions & Target & { detach: true }): Promise<Job>;
  runCode(
    code: string,
    options?: RunOptions & Target & { detach?: false },
  ): Promise<Execution>;
  async runCode(
    code: string,
    options: RunOptions & Target = {},
  ): Promise<Execution | Job> {
    const { context, language, ...rest } = options;
    if (context instanceof Context && language === undefined)
      return context.runCode(code, rest);
    return runCode(this.#connections, whereOf({ context, language }), code, rest);
  }

  /**
   * What the code says while it runs, and at last its outcome (`type` is "end"). The run
   * begins with the first event that is asked for; stopping to read ends it.
   */
  stream(
    code: string,
    options: RunSettings & Target = {},
  ): AsyncGenerator<Event, void, undefined> {
    const { context, language, ...rest } = options;
    if (context instanceof Context && language === undefined)
      return context.stream(code, rest);
    return streamCode(this.#connections, whereOf({ context, language }), code, rest);
  }

  async createContext(options: ContextOptions = {}): Promise<Context> {
    const { idleTimeoutMs, limits, ifExists, ...rest } = options;
    const content: Record<string, unknown> = { ...rest };
    if (ifExists !== undefined) content["if_exists"] = ifExists;
    if (idleTimeoutMs !== undefined) content["idle_timeout_s"] = idleTimeoutMs / 1000;
    if (limits !== undefined) {
      content["limits"] = Object.fromEntries(
        Object.entries(limits).map(([name, value]) => [read.snakeName(name), value]),
      );
    }
    return this.#contextIn(await this.#ask("create_context_request", content));
  }

  /** LABELS: only those that have all these. */
  async listContexts(options: { labels?: Record<string, string> } = {}) {
    const content = await this.#ask("list_contexts_request", { ...options });
    return read
      .objectsIn(content, "contexts")
      .map((info) => new Context(this.#connections, contextInfoOf(info)));
  }

  /** CONTEXT: an id or a name. */
  async getContext(context: string): Promise<Context> {
    return this.#contextIn(await this.#ask("get_context_request", { context }));
  }

  async deleteContext(context: Context | string): Promise<void> {
    const id = typeof context === "string" ? context : context.id;
    await this.#ask("delete_context_request", { context: id });
  }

  /** The files of a context that is named by its id or name. */
  files(context: Context | string): Files {
    return typeof context === "string"
      ? new Files(this.#connections, context)
      : context.files;
  }

  /** A job that is known by its id: of this client, or of one that is no more. */
  async attach(executionId: string): Promise<Job> {
    const content = await this.#ask("attach_request", {
      execution: executionId,
      stream: false,
      wait: false,
    });
    const info = read.objectOr(content, "execution", {});
    const ended = read.objectOr(content, "context", {});
    const contextId = read.stringOr(info, "context", read.stringOr(ended, "id", null));
    return new Job(this.#connections, executionId, contextId);
  }

  /**
   * Ends all connections, and the server if it is this client's own. What waits is
   * rejected with ClientClosedError. Nothing of the client keeps the process alive then.
   */
  close(): Promise<void> {
    this.#closing ??= this.#connections.close().then(this.#onClose);
    return this.#closing;
  }

  declare [Symbol.asyncDispose]: () => Promise<void>;

  #contextIn(content: JsonObject): Context {
    const info = contextInfoOf(read.objectIn(content, "context"));
    return new Context(this.#connections, info);
  }

  async #ask(type: string, content: object): Promise<JsonObject> {
    const connection = await this.#connections.main();
    return (await connection.request(type, content)).content;
  }
}

// Node 18 may not have the symbol.
if (Symbol.asyncDispose !== undefined) {
  Object.defineProperty(Client.prototype, Symbol.asyncDispose, {
    value(this: Client) {
      return this.close();
    },
  });
}

function whereOf(target: { context: Target["context"]; language: Target["language"] }) {
  const { context, language } = target;
  if (context === undefined) return { language: language ?? "python" };
  if (language !== undefined) throw new TypeError("either a context or a language");
  return { context: typeof context === "string" ? context : context.id };
}

function serverInfoOf(content: JsonObject): ServerInfo {
  const limits = read.objectOr(content, "limits", {});
  const isolation = read.objectOr(content, "isolation", {});
  return {
    version: read.stringIn(content, "version"),
    protocol: read.numberIn(content, "protocol"),
    owner: read.stringOr(content, "owner", ""),
    languages: read.objectsIn(content, "languages").map((language) => ({
      language: read.stringIn(language, "language"),
      runtime: read.stringOr(language, "runtime", ""),
      displayName: read.stringOr(language, "display_name", ""),
      version: read.stringOr(language, "version", ""),
    })),
    isolation: {
      tier: read.stringOr(isolation, "tier", ""),
      missing: read.stringOr(isolation, "missing", null),
    },
    limits: {
      defaults: read.camelNumbers(read.objectOr(limits, "defaults", {})),
      ceilings: read.camelNumbers(read.objectOr(limits, "ceilings", {})),
    },
    bounds: read.camelNumbers(read.objectOr(content, "bounds", {})),
    network: read.stringOr(content, "network", ""),
    jupyter: read.booleanOr(content, "jupyter", false),
    contexts: read.numberOr(content, "contexts", 0),
    executions: read.numberOr(content, "executions", 0),
    uptimeMs: read.numberOr(content, "uptime_s", 0) * 1000,
  };
}
