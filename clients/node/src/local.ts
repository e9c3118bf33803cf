// SPDX-License-Identifier: MIT
// A server of one's own, for as long as the client lives.
import { spawn, type ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "./client.js";
import { ServerStartFailedError } from "./errors.js";

const START_MS = 60_000;
const STOP_MS = 10_000;
const LOG_LINES = 50;
const READY = /^cellwall: ready\b/;
const FOLDER_BYTES_MAX = 60; // there will be sockets in it, whose paths are bounded

export interface LocalOptions {
  /** The program. Default: CELLWALL_PROGRAM, or "cellwall" in PATH. */
  program?: string;
  /** More arguments for `cellwall serve`, such as ["--config", "settings.json"]. */
  args?: string[];
  /** More environment variables for it. */
  env?: Record<string, string>;
  /** See `Client.connect`. */
  silenceMs?: number;
}

/** A client with a private server, which ends when the client is closed. */
export async function local(options: LocalOptions = {}): Promise<Client> {
  const server = await LocalServer.start(options);
  try {
    const { silenceMs } = options;
    const more = silenceMs === undefined ? {} : { silenceMs };
    return await Client.open({ server: server.file, ...more }, () => server.stop());
  } catch (error) {
    await server.stop();
    throw error;
  }
}

class LocalServer {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #log: string[] = [];

  private constructor(folder: string, process: ChildProcess) {
    this.#folder = folder;
    this.#process = process;
    this.#ended = new Promise((resolve) => {
      process.once("close", () => resolve());
      process.once("error", () => resolve()); // it could not be started
    });
    globalThis.process.once("exit", this.#onExit);
  }

  static async start(options: LocalOptions): Promise<LocalServer> {
    const folder = await makeFolder();
    const program = options.program ?? process.env["CELLWALL_PROGRAM"] ?? "cellwall";
    const env = { ...process.env, ...options.env, XDG_RUNTIME_DIR: folder };
    const args = ["serve", "--die-with-parent", ...(options.args ?? [])];
    const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
    const server = new LocalServer(folder, child);
    try {
      await server.#ready(program);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get file(): string {
    return join(this.#folder, "cellwall", "server.json");
  }

  async #ready(program: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const failure = await new Promise<string | null>((resolve) => {
      timer = setTimeout(() => resolve("it was not ready in time"), START_MS);
      this.#process.once("error", (error) => resolve(error.message));
      if (this.#process.stderr === null) return;
      const lines = createInterface({ input: this.#process.stderr });
      lines.on("line", (line) => {
        this.#log.push(line);
        if (this.#log.length > LOG_LINES) this.#log.shift();
        if (READY.test(line)) resolve(null);
      });
      lines.on("close", () => resolve(this.#log.at(-1) ?? "it has ended"));
    });
    clearTimeout(timer);
    if (failure === null) return;
    throw new ServerStartFailedError(`${program} serve: ${failure}`, {
      suggestion: "name the program with CELLWALL_PROGRAM, or try cellwall doctor",
      details: { log: [...this.#log] },
    });
  }

  /** It is gone when the promise resolves. */
  async stop(): Promise<void> {
    process.off("exit", this.#onExit);
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
    await rm(this.#folder, { recursive: true, force: true });
  }

  readonly #onExit = (): void => {
    this.#process.kill("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  };
}

async function makeFolder(): Promise<string> {
  const parent = tmpdir().length <= FOLDER_BYTES_MAX ? tmpdir() : "/tmp";
  return mkdtemp(join(parent, "cellwall-"));
}
