/**
 * Logging: JSON lines, or lines for people. Fields are snake_case like the wire. Everything passes the redactor last.
 *
 * No pino transport: those run in worker threads loaded from files, which a compiled binary does not have.
 */
import pino from "pino";
import type { LogFormat, LogLevel } from "../config/config.ts";
import { toPretty } from "./pretty.ts";
import { makeRedactor } from "./redact.ts";

export type LogFields = Readonly<Record<string, unknown>>;

/** Pass a thrown value as `err`: its stack, kind and cause are kept. */
export interface LogMethod {
  (fields: LogFields, message: string): void;
  (message: string): void;
}

/** Whom a line is about; every line of a child says so. */
export interface LogContext {
  readonly jobId?: string;
  readonly attempt?: number;
  readonly requestId?: string;
  readonly workerId?: string;
  /** The part of the program that speaks: `reconciler`, `http`. */
  readonly component?: string;
}

export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  child(context: LogContext): Logger;
}

export interface LogDestination {
  write(text: string): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Default: `stdout`. Both streams are written at once, so that a crash loses no line. */
  readonly destination?: "stdout" | "stderr" | LogDestination;
  /** Texts that no line may hold, whatever their form: the operator's own keys. */
  readonly secrets?: readonly string[];
  /** Colours in `pretty`. Default: the destination is a terminal, and NO_COLOR is not set. */
  readonly color?: boolean;
}

export function makeLogger({ level, format, destination = "stdout", secrets, color }: LoggerOptions): Logger {
  const redact = makeRedactor(secrets);
  const out = typeof destination === "string" ? openStream(destination) : destination;
  const colored = color ?? (typeof destination === "string" && process[destination].hasColors?.() === true);
  const render = format === "pretty" ? (line: string) => toPretty(line, { color: colored }) : (line: string) => line;
  const root = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: toWireNames },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    { write: (line: string) => out.write(render(redact(line))) },
  );
  return wrap(root);
}

/** `jobId` is `job_id` on every line, whoever wrote it; nothing below the first level is touched. */
function toWireNames(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [toWireName(name), value]));
}

const CAMEL = /^[a-z]+[a-z0-9]*[A-Z]/;
const toWireName = (name: string): string =>
  CAMEL.test(name) ? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name;

const openStream = (name: "stdout" | "stderr"): LogDestination =>
  pino.destination({ fd: name === "stdout" ? 1 : 2, sync: true });

function wrap(logger: pino.Logger): Logger {
  const method = (name: Exclude<LogLevel, "silent">): LogMethod => {
    const write = logger[name].bind(logger);
    return (first: LogFields | string, message?: string): void =>
      typeof first === "string" ? write(first) : write(first, message);
  };
  return {
    trace: method("trace"),
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    fatal: method("fatal"),
    child: (context) => wrap(logger.child(toBindings(context))),
  };
}

function toBindings({ jobId, attempt, requestId, workerId, component }: LogContext): Record<string, unknown> {
  const bindings = { component, worker_id: workerId, request_id: requestId, job_id: jobId, attempt };
  return Object.fromEntries(Object.entries(bindings).filter(([, value]) => value !== undefined));
}
