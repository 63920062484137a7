/** What the database layer says to the operator; pino's logger is one. */
export interface DatabaseLogger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}
