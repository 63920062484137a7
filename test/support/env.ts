/**
 * What `./dev test` has started and found for the tests. Nothing else in the tests reads the environment, so that a test
 * run by hand outside the runner fails with one clear sentence instead of a refused connection.
 */

export interface TestEnv {
  /** A real Postgres: a superuser's URL of its maintenance database; tests make databases of their own beside it. */
  readonly postgresUrl: string;
  /** A real Redis, shared by all suites: use a key prefix of your own. */
  readonly redisUrl: string;
  /** The system's FFmpeg and ffprobe, absolute paths. */
  readonly ffmpeg: string;
  readonly ffprobe: string;
  /** A static FFmpeg 9.0. */
  readonly ffmpeg9: string;
  /** A static ffprobe, which starts in 5 ms. */
  readonly ffprobeStatic: string;
  /** The folder of the object stores' programs. */
  readonly stores: string;
  /** The folder of what judges the deployment's files: hadolint, kustomize, kube-score, schemas. */
  readonly deploy: string;
  /** The folder of Schemathesis and what it needs, for PYTHONPATH. */
  readonly schemathesis: string;
  /** The folder where servers of this run leave what they found out about FFmpeg. */
  readonly known: string;
  /** The compiled binary; only the e2e suite has it. */
  readonly binary: string;
  /** `./dev test --long`: many seeds, a million rows, hours of chaos. */
  readonly long: boolean;
}

const variable = (name: string): string => {
  const value = Bun.env[name];
  if (value === undefined || value === "") {
    throw new Error(`${name} is not set: run this test through ./dev test, which starts or installs what it needs.`);
  }
  return value;
};

const program = (name: string): string => {
  const path = Bun.which(name);
  if (path === null) throw new Error(`${name} is not on PATH: run this test through ./dev test, which installs it.`);
  return path;
};

/** Each property is read when it is asked for: a test that needs no Redis runs without one. */
const environment: TestEnv = {
  get postgresUrl() {
    return variable("TEST_POSTGRES_URL");
  },
  get redisUrl() {
    return variable("TEST_REDIS_URL");
  },
  get ffmpeg() {
    return program("ffmpeg");
  },
  get ffprobe() {
    return program("ffprobe");
  },
  get ffmpeg9() {
    return variable("TEST_FFMPEG_9");
  },
  get ffprobeStatic() {
    return variable("TEST_FFPROBE_STATIC");
  },
  get stores() {
    return variable("TEST_STORES");
  },
  get deploy() {
    return variable("TEST_DEPLOY");
  },
  get schemathesis() {
    return variable("TEST_SCHEMATHESIS");
  },
  get known() {
    return variable("TEST_KNOWN");
  },
  get binary() {
    return variable("TEST_BINARY");
  },
  get long() {
    return Bun.env.TEST_LONG === "1";
  },
};

export const testEnv = (): TestEnv => environment;
