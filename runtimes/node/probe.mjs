// SPDX-License-Identifier: MIT
// Tells the host what this interpreter is and which folders it needs in the sandbox. Run
// by the interpreter in question, outside of any sandbox. Prints one JSON object; `error`
// is text for the user if no context can be made with it.
import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const VERSION_MIN = [18, 15];
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"]; // always shown
const language = process.argv[2];
const runtime = path.dirname(fileURLToPath(import.meta.url));

const isInside = (file, folder) => file === folder || file.startsWith(`${folder}/`);

// The prefix of the installation, where its npm and its global packages are, too.
function mounts() {
  const found = new Set();
  for (const program of [process.execPath, realpathSync(process.execPath)]) {
    const folder = path.dirname(program);
    const prefix = path.basename(folder) === "bin" ? path.dirname(folder) : folder;
    const isHome = isInside(homedir(), prefix);
    if (!SYSTEM.some((one) => isInside(folder, one))) found.add(isHome ? folder : prefix);
  }
  return [...found];
}

async function describe() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const answer = {
    executable: process.execPath,
    prefix: path.dirname(path.dirname(process.execPath)),
    version: process.versions.node,
    mounts: mounts(),
    banner: null,
    error: null,
  };
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
    const version = process.versions.node;
    answer.error = `${process.execPath} is Node.js ${version}: ${VERSION_MIN.join(".")} is needed`;
    return answer;
  }
  const { LANGUAGES, languageInfo } = await import("./src/language.mjs");
  const it = LANGUAGES[language];
  const missing = it.packages.find(
    (name) => !existsSync(path.join(runtime, "node_modules", name, "package.json")),
  );
  if (missing) {
    answer.error = `${missing} is not installed: run scripts/setup and build again`;
  }
  answer.language_info = languageInfo(it);
  answer.banner = `${it.title} on Node.js ${process.version}`;
  return answer;
}

console.log(JSON.stringify(await describe()));
