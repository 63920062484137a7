import {
  type ArchiveContents,
  checkArchiveFile,
  exportDatabase,
  importDatabase,
  STANDARD_STREAM,
} from "../boot/archive.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import type { CommandContext } from "./context.ts";

export interface ArchiveOptions {
  readonly json?: boolean;
}

type Summary = ArchiveContents["summary"];

/** Where the standard output is the archive's, people read on the other. */
function report(
  print: (text: string) => void,
  what: string,
  { tables, rows }: Summary,
  { json }: ArchiveOptions,
): void {
  if (json === true) {
    print(JSON.stringify({ rows, tables: tables.map(({ end, ...rest }) => ({ table: end, ...rest })) }));
    return;
  }
  for (const { end, rows: count, sha256 } of tables) {
    print(`${end.padEnd(20)} ${String(count).padStart(10)}  ${sha256.slice(0, 16)}`);
  }
  print(`${what}: ${rows} rows in ${tables.length} tables.`);
}

export async function exportCommand(context: CommandContext, file: string, options: ArchiveOptions): Promise<void> {
  const config = configFor();
  const summary = await exportDatabase(config, quietLoggerFor(config), file);
  report(file === STANDARD_STREAM ? context.err : context.out, "Exported", summary, options);
}

export async function importCommand(
  context: CommandContext,
  file: string,
  { check, ...options }: ArchiveOptions & { readonly check?: boolean },
): Promise<void> {
  if (check === true) {
    const { header, summary } = await checkArchiveFile(file);
    report(context.out, `Whole, of version ${header.version}, ${header.exported_at}`, summary, options);
    return;
  }
  const config = configFor();
  const { summary } = await importDatabase(config, quietLoggerFor(config), file);
  report(context.out, "Imported and compared", summary, options);
}
