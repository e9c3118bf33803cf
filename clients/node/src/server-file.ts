// SPDX-License-Identifier: MIT
// Finds the server's file and decides whether to trust it.
import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { ServerNotFoundError } from "./errors.js";
import { isObject, stringIn, stringOr, type JsonObject } from "./values.js";

const FILE_BYTES_MAX = 256 * 1024;
const KEY_CHARACTERS = 40; // of a CURVE key in Z85
const NOBODY = "none"; // as CELLWALL_SERVER: there shall be no server

/** How to reach a server. */
export interface Address {
  endpoint: string;
  key: string;
  curve: { serverKey: string; publicKey: string; secretKey: string } | null;
}

/** Where the server's file is: SERVER, CELLWALL_SERVER, or in the user's folder. */
export async function findServerFile(
  server: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const named = server || env["CELLWALL_SERVER"];
  if (named === NOBODY) {
    throw new ServerNotFoundError("CELLWALL_SERVER says that there shall be no server");
  }
  if (named) return named;
  const runtime = env["XDG_RUNTIME_DIR"];
  if (runtime && (await isOurs(runtime))) return join(runtime, "cellwall", "server.json");
  const temporary = env["TMPDIR"] || "/tmp";
  return join(temporary, `cellwall-${ourUid()}`, "server.json");
}

/** Reads a file that nobody else can have written or can read. */
export async function readServerFile(path: string): Promise<Address> {
  let text: string;
  try {
    text = await readPrivate(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new ServerNotFoundError(`there is no server: ${path} does not exist`, {
      cause,
      suggestion: 'start one with "cellwall serve", or use local()',
    });
  }
  try {
    return parseAddress(text);
  } catch (cause) {
    throw new ServerNotFoundError(`${path}: ${(cause as Error).message}`, { cause });
  }
}

async function readPrivate(path: string): Promise<string> {
  // A pipe in its place must not make us wait.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new ServerNotFoundError(`${path} is not a file`);
    if (info.uid !== ourUid()) {
      throw new ServerNotFoundError(`${path} belongs to another user (${info.uid})`, {
        suggestion: "it could send your code to a server of that user; it is not used",
      });
    }
    if ((info.mode & 0o077) !== 0) {
      throw new ServerNotFoundError(`others may read or write ${path}, which has a key`, {
        suggestion: `chmod 600 ${path}`,
      });
    }
    if (info.size > FILE_BYTES_MAX) throw new ServerNotFoundError(`${path} is too large`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** TEXT: of a server.json. */
export function parseAddress(text: string): Address {
  const document: unknown = JSON.parse(text);
  if (!isObject(document)) throw new Error("it is not a JSON object");
  const endpoint = stringIn(document, "endpoint");
  if (!/^(ipc|tcp):\/\/./.test(endpoint)) {
    throw new Error(`its endpoint "${endpoint}" is neither ipc:// nor tcp://`);
  }
  const scheme = stringOr(document, "signature_scheme", "hmac-sha256");
  if (scheme !== "hmac-sha256")
    throw new Error(`signature scheme ${scheme} is not known`);
  const curve = curveOf(document);
  if (curve === null && document["server_public_key"] && endpoint.startsWith("tcp:")) {
    throw new Error("over tcp a client needs a file of its own: see cellwall keygen");
  }
  return { endpoint, key: stringOr(document, "key", ""), curve };
}

function curveOf(document: JsonObject): Address["curve"] {
  const keys = {
    serverKey: stringOr(document, "server_public_key", null),
    publicKey: stringOr(document, "public_key", null),
    secretKey: stringOr(document, "secret_key", null),
  };
  const { serverKey, publicKey, secretKey } = keys;
  if (publicKey === null && secretKey === null) return null; // the server's own file: ipc
  if (serverKey === null || publicKey === null || secretKey === null) {
    throw new Error("it needs server_public_key, public_key and secret_key, or neither");
  }
  for (const key of [serverKey, publicKey, secretKey]) {
    if (key.length !== KEY_CHARACTERS) throw new Error("one of its keys is malformed");
  }
  return { serverKey, publicKey, secretKey };
}

async function isOurs(folder: string): Promise<boolean> {
  try {
    const info = await stat(folder);
    return info.isDirectory() && info.uid === ourUid();
  } catch {
    return false;
  }
}

function ourUid(): number {
  return process.getuid?.() ?? -1;
}
