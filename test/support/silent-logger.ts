/** Loggers for what runs under a test: one that says nothing, and one that remembers. */
import type { LogFields, Logger } from "../../src/telemetry/logger.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Remembers what it is told, for tests of what is said. */
export function memoryLogger(lines: LogLine[]): Logger {
  const write =
    (level: string) =>
    (fields: LogFields | string, message = ""): void => {
      if (typeof fields === "string") lines.push({ level, message: fields, fields: {} });
      else lines.push({ level, message, fields });
    };
  const logger: Logger = {
    ...{ trace: write("trace"), debug: write("debug"), info: write("info") },
    ...{ warn: write("warn"), error: write("error"), fatal: write("fatal") },
    child: () => logger,
  };
  return logger;
}

export function silentLogger(): Logger {
  const nothing = (): void => {};
  const logger: Logger = {
    ...{ trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing },
    child: () => logger,
  };
  return logger;
}
