/**
 * One child process in its own group, boxed in: the only way Rendiff starts a program.
 */
export interface ProcessLimits {
  /** RLIMIT_AS; null leaves it. */
  readonly addressSpaceBytes: number | null;
  /** RLIMIT_FSIZE: any one file. */
  readonly fileBytes: number | null;
  /** RLIMIT_CPU. */
  readonly cpuSeconds: number | null;
  readonly openFiles: number | null;
}

/**
 * The niceness of what is to be noticed least: where Linux lets it, a program of this niceness runs when nobody else wants the
 * processor (SCHED_IDLE).
 */
export const LEAST_URGENT = 19;

export interface ProcessRequest {
  /** Absolute path of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** The only folder it may write; null for none. */
  readonly workDir: string | null;
  /** Extra files it may read, at the paths where the arguments name them. */
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
  /** Devices, and folders of /sys that describe them, that it may use; those that are missing are left out. */
  readonly devices?: readonly string[];
  /** It draws no text and is told how many threads to have: its box takes less making. */
  readonly onlyReads?: boolean;
  readonly limits: ProcessLimits;
  /** `off` for programs that touch no user media. */
  readonly sandbox: "default" | "off";
  /** 0 to LEAST_URGENT, on top of our own. */
  readonly niceness: number;
  /** `pipe`: the handle's `stdin` is what it reads; absent: nothing. */
  readonly stdin?: "pipe";
  /** Called for each line of stdout, at once. */
  onLine?(line: string): void;
  /** The last bytes of stderr that are kept. */
  readonly stderrBytesMax: number;
}

export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last `stderrBytesMax` bytes, as text. */
  readonly stderrTail: string;
  readonly wallMs: number;
  readonly cpuMs: number | null;
  readonly peakRssBytes: number | null;
}

export interface ProcessInput {
  /** Resolves when the pipe has taken the bytes, so that a slow reader holds the writer back; rejects when nobody reads. */
  write(bytes: Uint8Array): Promise<void>;
  /** The reader sees the end. Not called: it sees none until it dies. */
  end(): Promise<void>;
}

export interface ProcessHandle {
  readonly pid: number;
  /** Null unless it was asked for. */
  readonly stdin: ProcessInput | null;
  /** What the program has read so far, of files and pipes; null where the system does not say. */
  bytesRead(): number | null;
  /** Resolves once, when the process is reaped and its pipes are drained; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** SIGTERM, then SIGKILL to the whole group after `graceMs`. Resolves when all of it is dead. Idempotent. */
  stop(graceMs: number): Promise<ProcessExit>;
  /** SIGKILL to the whole group now. Idempotent, synchronous. */
  kill(): void;
  /**
   * Begins to count; what it returns tells for how many milliseconds since then the program has stood in line for a processor.
   * Always 0 where the system does not tell.
   */
  watchWaiting(): () => number;
}

export interface ProcessRunner {
  readonly sandbox: { readonly mode: "bubblewrap" | "none"; readonly reason: string };
  /** Throws only when the program cannot be started at all. */
  start(request: ProcessRequest): ProcessHandle;
}
