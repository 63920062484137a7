/** docs/upgrading.md: how to upgrade, and what each migration means for the binary before it, read from its statements. */
import { MIGRATIONS, type Migration } from "../migrations/index.ts";

export interface MigrationEffect {
  readonly name: string;
  /** The first sentence of its comment. */
  readonly summary: string;
  /** Tables that it makes, changes or writes to, in order of mention. */
  readonly tables: readonly string[];
  /** Statements with which the binary before it could not go on. */
  readonly breaking: readonly string[];
  /** It writes rows that are there, which takes as long as there are many. */
  readonly writesRows: boolean;
  /** It makes an index on a table from an earlier migration, for which writers of that table wait. */
  readonly indexes: readonly string[];
}

const BREAKING: readonly RegExp[] = [
  /\bDROP (?:TABLE|FUNCTION|VIEW|TRIGGER)\b[^;]*/gi,
  /\bDROP COLUMN\b[^;,]*/gi,
  /\bRENAME (?:COLUMN\b|TO\b|CONSTRAINT\b)[^;,]*/gi,
  /\bALTER COLUMN \w+ (?:SET NOT NULL|(?:SET DATA )?TYPE\b[^;,]*)/gi,
  /\bADD COLUMN (?:IF NOT EXISTS )?\w+ (?:(?!DEFAULT|GENERATED|,|;)[\s\S])*NOT NULL(?:(?!DEFAULT|GENERATED|,|;)[\s\S])*(?=[,;])/gi,
];

const bare = (text: string): string =>
  text
    .replace(/--.*$/gm, "")
    // Bodies of functions are run later, by whoever calls them.
    .replace(/\$\$[\s\S]*?\$\$/g, "''");

const names = (text: string, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map(([, name = ""]) => name)),
];

/** The first sentence of the comment at the head of the file. */
function summaryOf(text: string): string {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("--"));
  const comment = lines
    .slice(0, end === -1 ? lines.length : end)
    .map((line) => line.replace(/^--\s?/, ""))
    .join(" ");
  return (/^.*?[.:](?=\s|$)/.exec(comment)?.[0] ?? comment).trim().replace(/:$/, ".");
}

export function effectOf({ name, text }: Migration): MigrationEffect {
  const sql = bare(text);
  const created = names(sql, /\bCREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)/gi);
  const changed = names(sql, /\b(?:ALTER TABLE|INSERT INTO|UPDATE(?! OF\b)|DELETE FROM) (?:ONLY |IF EXISTS )*(\w+)/gi);
  const indexed = names(sql, /\bCREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?\w+ ON (\w+)/gi);
  const ofRows = names(sql, /(?:^|;)\s*(?:WITH [\s\S]*?\)\s*)?(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)/gi);
  return {
    name,
    summary: summaryOf(text),
    tables: [...new Set([...created, ...changed, ...indexed])],
    breaking: BREAKING.flatMap((pattern) => sql.match(pattern) ?? []).map((found) => found.replace(/\s+/g, " ").trim()),
    writesRows: ofRows.some((table) => !created.includes(table)) || (ofRows.length > 0 && /\bSELECT\b/i.test(sql)),
    indexes: indexed.filter((table) => !created.includes(table)),
  };
}

function row({ name, summary, tables, breaking, writesRows, indexes }: MigrationEffect): string {
  const costs = [
    ...(writesRows ? ["reads or writes the rows that are there"] : []),
    ...(indexes.length > 0 ? [`writers of ${indexes.join(", ")} wait while indexes are made`] : []),
  ];
  const before = breaking.length === 0 ? "goes on" : `has to be stopped: ${breaking.join("; ")}`;
  const what = summary.replaceAll("|", "\\|");
  return `| \`${name}\` | ${what} | ${tables.join(", ") || "–"} | ${costs.join("; ") || "none to speak of"} | ${before} |`;
}

const text = (table: string): string => `<!-- Generated from migrations/ by scripts/upgrading.ts. -->
# Upgrading

A database moves forward only. Each start brings it to the binary's schema: every migration in a transaction of its own, by
one process while the others wait, and each once. \`rendiff migrate --check\` says what is pending, \`rendiff migrate\` does it
without starting a server.

## In one step, with an embedded database or one process

Stop it, keep a copy, start the new binary.

\`\`\`sh
rendiff keys create --name before > /dev/null       # stands for all that you have
rendiff export before-upgrade.archive | tail -n 1
rendiff version
rendiff migrate
\`\`\`

\`\`\`text output
Exported: … rows in … tables.
The database is up to date.
\`\`\`

## Replica by replica

Each migration works with the binary before it: columns and tables are added first, and taken away in a later version, when
nothing uses them any more. So the order is: back up, \`rendiff migrate\` with the new binary, then one replica after another,
workers before api replicas. A job that a drained worker gives back is taken by a new one. A binary that finds a database
ahead of it says so in its log and goes on.

What one version is apart in the table below may run at the same time. For a longer way, go version by version, or stop all
replicas and go at once.

## Back again

The binary before runs on the newer database, since nothing that it knows is gone: start it again. What only the new version
knows is kept and not used. To bring the data itself back as it was, restore the copy into an empty database with the version
that made it:

\`\`\`sh
rendiff import --check before-upgrade.archive | tail -n 1
DATA_DIR=./as-before rendiff import before-upgrade.archive | tail -n 1
\`\`\`

\`\`\`text output
Whole, of version …
Imported and compared: … rows in … tables.
\`\`\`

An archive of an older version can be imported by each later one, which brings it to its own schema. A database whose history
is not this program's (a migration with another text) is refused at the start, and so is an archive of a later version.

## What each migration does

The last column says whether the binary before a migration can go on using the database.

| migration | what for | tables | costs | the binary before |
| --- | --- | --- | --- | --- |
${table}
`;

export const upgradingMarkdown = (): string => text(MIGRATIONS.map((migration) => row(effectOf(migration))).join("\n"));
