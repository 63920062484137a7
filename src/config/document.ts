/** The documentation of every setting, made from the schema: it cannot say other than the code does. */
import { isSettingName, type SettingName, settingGroups, settingInfo } from "./schema.ts";

const TITLES: Readonly<Record<keyof typeof settingGroups, string>> = {
  process: "Process",
  http: "HTTP",
  keys: "Keys",
  limits: "Limits",
  worker: "Worker",
  queue: "Queue",
  database: "Database",
  redis: "Redis",
  storage: "Storage",
  telemetry: "Telemetry",
};

const INTRODUCTION = `<!-- Generated from src/config by scripts/generate.ts. -->
# Configuration

Everything has a default: Rendiff starts without any of this. What is wrong is reported all at once, by name, and the
process exits with 78.

## Where a value comes from

1. the environment,
2. \`.env.{RENDIFF_ENV}\` in the working directory (\`.env.development\` when RENDIFF_ENV is not set),
3. \`.env\` in the working directory,
4. the default.

The first that has the name wins. A name that is given but empty counts as not given and covers the sources below it:
\`DATABASE_URL= rendiff serve\` uses the default whatever \`.env\` says. RENDIFF_ENV chooses the file, NODE_ENV never does.

A \`.env\` file holds \`NAME=value\` lines and \`# comments\`. Single quotes take a value as it stands, double quotes know
\`\\n\`, \`\\t\`, \`\\"\`, \`\\\\\` and \`\\$\`; nothing is expanded, a \`$\` is a dollar sign.

Every **secret** can also come from a file: \`SIGNING_SECRET_FILE=/run/secrets/signing\` reads SIGNING_SECRET from there,
without the white space at its ends. Giving both in one place is a problem.

A name that is no setting but looks like one (\`MAX_INPUT_SIZ\`, \`RENDIFF_PORT\`) is a problem too: a limit that was
mistyped would otherwise not be there. What this version cannot do yet is refused by name when it is set.

When Rendiff is run from its sources, Bun must not load \`.env\` files by itself, since it follows NODE_ENV and does so
before Rendiff sees anything: \`bunfig.toml\` says \`env = false\`, which holds when the working directory is the checkout.
From elsewhere, use \`bun --no-env-file /path/to/src/main.ts\`. The compiled binary never loads them by itself.

## Units

| what | written |
| --- | --- |
| size | \`10GB\` (10^10 bytes), \`10GiB\` (10 × 2^30), kB, MB, TB, KiB, MiB, TiB; a bare number is bytes |
| duration | \`500ms\`, \`30s\`, \`10m\`, \`24h\`, \`30d\`, \`2w\`, \`1h30m\`; where the table says so \`never\` |
| rate | \`600/min\`, \`10/s\`, \`6000/h\` |
| bitrate | \`100Mbps\`, \`800kbps\`, \`1.5Gbps\` |
| resolution | \`7680x4320\` |
| boolean | \`true\`, \`false\` (also yes, no, on, off, 1, 0) |
| list | items by commas |
| networks | \`10.0.0.0/8\`, \`fd00::/8\`, \`192.0.2.7\`, and the words \`loopback\`, \`private\`, \`all\`, \`none\`, by commas |
| path | relative to the working directory, or absolute |
| percentage | \`80%\` of the machine's memory, or of the disk; a container's own limit counts as the machine |
`;

const groups = Object.entries(settingGroups).map(([group, settings]) => ({
  title: TITLES[group as keyof typeof settingGroups],
  names: Object.keys(settings).filter(isSettingName),
}));

/** docs/configuration.md. */
export function configurationMarkdown(): string {
  const sections = groups.map(({ title, names }) => {
    const head = `## ${title}\n\n| name | what | default | meaning |\n| --- | --- | --- | --- |\n`;
    return head + names.map(toTableRow).join("");
  });
  return [INTRODUCTION, ...sections].join("\n");
}

function toTableRow(name: SettingName): string {
  const info = settingInfo(name);
  const kind = info.secret ? `${info.kind}, **secret**` : info.kind;
  const without = info.default === null ? info.without : `\`${info.default}\``;
  return `| ${[`\`${name}\``, kind, without, info.meaning].map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

/** .env.example: everything is commented out, so the file as it stands changes nothing. */
export function envExample(): string {
  const head = [
    "# Copy to .env and uncomment what you need; docs/configuration.md explains the units and where values come from.",
    "# Generated from src/config by scripts/generate.ts.",
  ];
  const sections = groups.flatMap(({ title, names }) => ["", `# --- ${title} ---`, ...names.flatMap(toExample)]);
  return `${[...head, ...sections].join("\n")}\n`;
}

function toExample(name: SettingName): string[] {
  const info = settingInfo(name);
  const notes = [
    ...(info.default === null ? [`default: ${info.without}`] : []),
    ...(info.secret ? [`secret; or ${name}_FILE`] : []),
  ];
  const comment = [info.meaning, ...(notes.length === 0 ? [] : [`(${notes.join("; ")})`])].join(" ");
  return ["", `# ${comment.replaceAll("`", "")}`, `# ${name}=${info.default ?? ""}`];
}
