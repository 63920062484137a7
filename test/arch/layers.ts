/**
 * Who may import whom. A file belongs to the first layer whose pattern matches its path; a layer may import itself and the
 * layers listed, `types` of others only as types. Imports flow one way, so that a part can be read, tested and replaced
 * with nothing but what lies below it.
 */

export interface Layer {
  readonly name: string;
  readonly files: RegExp;
  readonly may: readonly string[];
  readonly types?: readonly string[];
  readonly why: string;
}

const WORDS = ["errors", "media", "ports", "words", "validation", "version"];
const DOMAIN = [...WORDS, "domain", "outbound", "telemetry"];

const adapter = (folder: string, more: readonly string[] = []): Layer => ({
  name: `adapter ${folder}`,
  files: new RegExp(`^src/${folder}/`),
  may: [...WORDS, "telemetry", ...more],
  types: ["domain", "config"],
  why: "An adapter knows its port and its SDK, never another adapter: boot puts them together.",
});

export const LAYERS: readonly Layer[] = [
  {
    name: "errors",
    files: /^src\/errors\.ts$/,
    may: [],
    why: "Every layer throws RendiffError, so it imports nothing.",
  },
  {
    name: "media",
    files: /^src\/media\//,
    may: ["errors", "validation"],
    why: "src/media is pure: a plan follows from its arguments alone, which is what makes golden files and dry runs true.",
  },
  {
    name: "ports",
    files: /^src\/(database\/sql|storage\/port|coordination\/ports|process\/port)\.ts$/,
    may: ["errors", "media"],
    types: ["words"],
    why: "A port says what the domain needs; it cannot know who meets it.",
  },
  {
    name: "words",
    files: /^src\/(storage\/(uri|key)|jobs\/types)\.ts$/,
    may: ["errors", "media", "ports"],
    why: "The vocabulary that config, ports and domain share holds no rule of any of them.",
  },
  { name: "validation", files: /^src\/validation\//, may: ["errors"], why: "Parsing serves every layer above it." },
  {
    name: "telemetry",
    files: /^src\/telemetry\//,
    may: ["errors", "words"],
    types: [...WORDS, "domain", "config"],
    why: "Whoever reports must be able to import it, so it imports nobody.",
  },
  {
    name: "config",
    files: /^src\/config\//,
    may: ["errors", "validation", "words"],
    types: ["media", "ports"],
    why: "Config is read once, before anything else exists, and passed on as values.",
  },
  {
    name: "outbound",
    files: /^src\/security\/outbound\//,
    may: ["errors", "validation"],
    why: "The one door to addresses that clients name serves adapters and actors alike, so it knows neither.",
  },
  {
    name: "domain",
    files: /^src\/((jobs|events|security|idempotency|webhooks)\/|storage\/same-object\.ts$)/,
    may: [...WORDS, "outbound"],
    types: ["config", "telemetry"],
    why: "The rules of a job depend on ports; which database or store is behind them is decided in boot.",
  },
  {
    name: "services",
    files: /^src\/(work-folders|ffmpeg|transfer|uploads)\//,
    may: DOMAIN,
    types: ["config"],
    why: "A service of one process, used by actors; it knows ports, not adapters.",
  },
  {
    name: "archive",
    files: /^src\/archive\//,
    may: WORDS,
    why: "It carries whatever tables the catalogue lists and knows none of them, so that a new table needs no line here.",
  },
  { name: "version", files: /^src\/version\.ts$/, may: [], why: "One constant, from package.json." },
  { name: "migrations", files: /^migrations\//, may: [], why: "A migration is text that runs against a database." },
  adapter("database", ["migrations"]),
  adapter("storage", ["outbound"]),
  adapter("coordination"),
  adapter("process"),
  {
    name: "actors",
    files: /^actors\//,
    may: [...DOMAIN, "services"],
    types: ["config"],
    why: "Actors are given ports and know nothing of HTTP, so that `rendiff convert` runs them without a server.",
  },
  {
    name: "plugins",
    files: /^plugins\//,
    may: [...DOMAIN, "config"],
    types: ["services"],
    why: "A plugin parses, calls one function of src/ and maps the answer; logic in it could be reached by HTTP only.",
  },
  {
    name: "boot",
    files: /^src\/boot\//,
    may: [
      ...DOMAIN,
      "config",
      "services",
      "archive",
      "migrations",
      "actors",
      "plugins",
      "adapter database",
      "adapter storage",
      "adapter coordination",
      "adapter process",
    ],
    why: "Boot is the one place that knows every adapter, and nobody but main and cli may depend on it.",
  },
  {
    name: "cli",
    files: /^src\/cli\//,
    may: [...DOMAIN, "config", "boot"],
    types: ["services", "actors"],
    why: "A command reads arguments and asks boot for what it needs.",
  },
  {
    name: "main",
    files: /^src\/main\.ts$/,
    may: ["errors", "config", "telemetry", "boot", "cli"],
    why: "Main ties commands to signals.",
  },
];

/** The one home of each package, so that replacing it touches one folder. Absent here: usable everywhere. */
export const PACKAGE_HOMES: readonly { readonly packages: RegExp; readonly home: RegExp; readonly why: string }[] = [
  {
    packages: /^(@elysiajs\/|elysia($|\/))/,
    home: /^(plugins|src\/boot)\//,
    why: "Elysia stays replaceable: it lives in plugins/.",
  },
  { packages: /^xstate($|\/)/, home: /^(actors|src\/boot)\//, why: "State machines live in actors/." },
  { packages: /^postgres$/, home: /^src\/database\/postgres\//, why: "Everything else speaks the Sql port." },
  { packages: /^@electric-sql\/pglite/, home: /^src\/database\/pglite\//, why: "Everything else speaks the Sql port." },
  {
    packages: /^(ioredis|bullmq)($|\/)/,
    home: /^src\/coordination\/redis\//,
    why: "Everything else speaks the coordination ports.",
  },
  {
    packages: /^rate-limiter-flexible$/,
    home: /^src\/coordination\//,
    why: "Everything else speaks the limiter port.",
  },
  {
    packages: /^(@aws-sdk|@smithy|@azure|@google-cloud)\//,
    home: /^src\/storage\//,
    why: "Everything else speaks the storage port.",
  },
  {
    packages: /^(hls-parser|mpd-parser)($|\/)/,
    home: /^src\/ffmpeg\/package\//,
    why: "What was packaged is read by parsers that had no part in it, in one place.",
  },
  { packages: /^@tus\//, home: /^plugins\/uploads\//, why: "What a protocol's library wants is adapted in one place." },
  { packages: /^commander$/, home: /^src\/(cli\/|main\.ts$)/, why: "Arguments are read in src/cli." },
  {
    packages: /^(pino|prom-client|@opentelemetry)($|\/)/,
    home: /^src\/telemetry\//,
    why: "Everything else uses the logger and the metrics it is given.",
  },
  {
    packages: /^(node:child_process|child_process)$/,
    home: /^src\/process\//,
    why: "Child processes are started in src/process only.",
  },
];

/** What the pure layer may import from outside the project. */
export const MEDIA_PACKAGES: readonly string[] = ["zod"];
