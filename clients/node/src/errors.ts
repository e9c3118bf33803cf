// SPDX-License-Identifier: MIT
// What can go wrong, as classes. A code of docs/agent-protocol.md has one class; so has
// each failure that the client finds itself.

/** What an error carries beside its message. */
export interface ErrorFields {
  code?: string;
  suggestion?: string;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/**
 * Base class of all errors of this package. `code` is stable and for programs; `message`
 * is for people; `suggestion` says what may help, and can be empty; `details` has what
 * is useful for the code.
 */
export class CellwallError extends Error {
  readonly code: string;
  readonly suggestion: string;
  readonly details: Record<string, unknown>;

  constructor(message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = new.target.name;
    this.code = fields.code ?? codeOf(new.target);
    this.suggestion = fields.suggestion ?? "";
    this.details = fields.details ?? {};
  }
}

// Refusals of the server.
export class InvalidArgumentError extends CellwallError {}
export class UnknownRequestError extends CellwallError {}
export class ContextNotFoundError extends CellwallError {}
export class StaleContextError extends CellwallError {}
export class ContextDeletedError extends CellwallError {}
export class ExecutionNotFoundError extends CellwallError {}
export class LanguageNotFoundError extends CellwallError {}
export class NameTakenError extends CellwallError {}
export class LimitTooHighError extends CellwallError {}
export class QuotaExceededError extends CellwallError {}
export class QueueFullError extends CellwallError {}
export class ContextBusyError extends CellwallError {}
export class RateLimitedError extends CellwallError {}
export class TooLargeError extends CellwallError {}
export class StartFailedError extends CellwallError {}
export class CancelledError extends CellwallError {}
export class AbortedError extends CellwallError {}
export class NotAllowedError extends CellwallError {}
export class NotWaitingError extends CellwallError {}
export class FileNotFoundError extends CellwallError {}
export class FileExistsError extends CellwallError {}
export class NotAFileError extends CellwallError {}
export class IsADirectoryError extends CellwallError {}
export class NotEmptyError extends CellwallError {}
export class PathInvalidError extends CellwallError {}
export class NoSpaceError extends CellwallError {}
export class PermissionDeniedError extends CellwallError {}
export class FilesUnavailableError extends CellwallError {}
export class ServerStoppingError extends CellwallError {}
export class InternalError extends CellwallError {}

// What the client finds itself.

/** No server runs for this user, or its server.json cannot be trusted. */
export class ServerNotFoundError extends CellwallError {}
/** `local` could not start a server; `details.log` has its last lines. */
export class ServerStartFailedError extends CellwallError {}
/** A request waited, and nothing came from the server for too long, or it is gone. */
export class ConnectionLostError extends CellwallError {}
/** The client was closed before or while the request waited. */
export class ClientClosedError extends CellwallError {}
/** Thrown by `Execution.orThrow()` alone: the code failed or was ended. */
export class ExecutionFailedError extends CellwallError {}
/** The server's answer is not what docs/agent-protocol.md says. */
export class ProtocolError extends CellwallError {}

type ErrorClass = new (message: string, fields?: ErrorFields) => CellwallError;

/** Each code and its class. */
export const ERROR_CLASSES: Readonly<Record<string, ErrorClass>> = Object.freeze({
  INVALID_ARGUMENT: InvalidArgumentError,
  UNKNOWN_REQUEST: UnknownRequestError,
  CONTEXT_NOT_FOUND: ContextNotFoundError,
  STALE_CONTEXT: StaleContextError,
  CONTEXT_DELETED: ContextDeletedError,
  EXECUTION_NOT_FOUND: ExecutionNotFoundError,
  LANGUAGE_NOT_FOUND: LanguageNotFoundError,
  NAME_TAKEN: NameTakenError,
  LIMIT_TOO_HIGH: LimitTooHighError,
  QUOTA_EXCEEDED: QuotaExceededError,
  QUEUE_FULL: QueueFullError,
  CONTEXT_BUSY: ContextBusyError,
  RATE_LIMITED: RateLimitedError,
  TOO_LARGE: TooLargeError,
  START_FAILED: StartFailedError,
  CANCELLED: CancelledError,
  ABORTED: AbortedError,
  NOT_ALLOWED: NotAllowedError,
  NOT_WAITING: NotWaitingError,
  FILE_NOT_FOUND: FileNotFoundError,
  FILE_EXISTS: FileExistsError,
  NOT_A_FILE: NotAFileError,
  IS_A_DIRECTORY: IsADirectoryError,
  NOT_EMPTY: NotEmptyError,
  PATH_INVALID: PathInvalidError,
  NO_SPACE: NoSpaceError,
  PERMISSION_DENIED: PermissionDeniedError,
  FILES_UNAVAILABLE: FilesUnavailableError,
  SERVER_STOPPING: ServerStoppingError,
  INTERNAL_ERROR: InternalError,
  SERVER_NOT_FOUND: ServerNotFoundError,
  SERVER_START_FAILED: ServerStartFailedError,
  CONNECTION_LOST: ConnectionLostError,
  CLIENT_CLOSED: ClientClosedError,
  EXECUTION_FAILED: ExecutionFailedError,
  PROTOCOL_ERROR: ProtocolError,
});

function codeOf(type: unknown): string {
  for (const [code, known] of Object.entries(ERROR_CLASSES)) {
    if (known === type) return code;
  }
  return "ERROR";
}

/** The error of a refusal; one with an unknown code is a plain CellwallError. */
export function errorOf(code: string, message: string, fields: ErrorFields = {}) {
  const known = Object.hasOwn(ERROR_CLASSES, code) ? ERROR_CLASSES[code] : undefined;
  return new (known ?? CellwallError)(message, { ...fields, code });
}
