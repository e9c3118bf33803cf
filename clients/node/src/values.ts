// SPDX-License-Identifier: MIT
// Reads members of JSON that came from outside: of the right type, or a ProtocolError.
import { ProtocolError } from "./errors.js";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function member(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function wrong(name: string, wanted: string): ProtocolError {
  return new ProtocolError(`a JSON object has no ${wanted} "${name}"`);
}

export function objectIn(object: JsonObject, name: string): JsonObject {
  const value = member(object, name);
  if (!isObject(value)) throw wrong(name, "object");
  return value;
}

/** Missing or null: the fallback. */
export function objectOr<T>(object: JsonObject, name: string, or: T): JsonObject | T {
  return (member(object, name) ?? null) === null ? or : objectIn(object, name);
}

export function stringIn(object: JsonObject, name: string): string {
  const value = member(object, name);
  if (typeof value !== "string") throw wrong(name, "string");
  return value;
}

export function stringOr<T>(object: JsonObject, name: string, or: T): string | T {
  return (member(object, name) ?? null) === null ? or : stringIn(object, name);
}

export function numberIn(object: JsonObject, name: string): number {
  const value = member(object, name);
  if (typeof value !== "number") throw wrong(name, "number");
  return value;
}

export function numberOr<T>(object: JsonObject, name: string, or: T): number | T {
  return (member(object, name) ?? null) === null ? or : numberIn(object, name);
}

export function booleanOr(object: JsonObject, name: string, or: boolean): boolean {
  const value = member(object, name) ?? null;
  if (value === null) return or;
  if (typeof value !== "boolean") throw wrong(name, "boolean");
  return value;
}

/** Missing or null: none. */
export function objectsIn(object: JsonObject, name: string): JsonObject[] {
  return arrayIn(object, name, isObject);
}

export function stringsIn(object: JsonObject, name: string): string[] {
  return arrayIn(object, name, (value) => typeof value === "string");
}

function arrayIn<T extends Json>(
  object: JsonObject,
  name: string,
  is: (value: Json) => value is T,
): T[] {
  const value = member(object, name) ?? [];
  if (!Array.isArray(value) || !value.every(is)) throw wrong(name, "array");
  return value;
}

/** The members of OBJECT that are there and strings. */
export function stringMembers(object: JsonObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object).filter((e): e is [string, string] => typeof e[1] === "string"),
  );
}

/** memoryBytes -> memory_bytes */
export function snakeName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** memory_bytes -> memoryBytes */
export function camelName(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The same members under the names that JavaScript uses; not those of members. */
export function camelMembers(object: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [camelName(name), value]),
  );
}

export function camelNumbers(object: JsonObject): Record<string, number> {
  return Object.fromEntries(
    Object.entries(camelMembers(object)).filter(
      (e): e is [string, number] => typeof e[1] === "number",
    ),
  );
}
