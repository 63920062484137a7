/** What every command gets: where to print, when to stop. */
export interface CommandContext {
  out(text: string): void;
  err(text: string): void;
  readonly isTerminal: boolean;
  /** Aborted once by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Ends a command with this code, its message already printed. */
export class CommandFailed extends Error {
  constructor(readonly exitCode: number) {
    super(`exit code ${exitCode}`);
  }
}

export const EXIT_FAILED = 1;
