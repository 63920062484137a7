/**
 * The command line, as `rendiff --help` shows it. Each command is a file; this one says what they take. A file is loaded by
 * its own command alone: most of what a start takes is loading what the start does not use.
 */
import { Command, InvalidArgumentError } from "commander";
import { VERSION } from "../version.ts";
import type { CommandContext } from "./context.ts";

function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError("must be a whole number");
  return Number(text);
}

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("must be a number");
  return value;
}

const list = (text: string): string[] => text.split(",").map((part) => part.trim());

function addKeys(program: Command, context: CommandContext): void {
  const keys = program.command("keys").description("manage API keys (with an embedded database: while no server runs)");
  keys
    .command("create")
    .description("make a key and print it once")
    .option("--name <name>", "what people call it", "cli")
    .option("--role <role>", "admin, user or readonly", "user")
    .option("--allowed-operations <types>", "operation types it may use, by commas", list)
    .option("--read-backends <names>", "storage backends it may read from, by commas", list)
    .option("--write-backends <names>", "storage backends it may write to, by commas", list)
    .option("--rate-limit <n>", "requests a minute for each endpoint", wholeNumber)
    .option("--max-concurrent-jobs <n>", "jobs running at once", wholeNumber)
    .option("--weight <n>", "its share of the workers", decimal)
    .option("--monthly-limit-minutes <n>", "minutes of output media in a calendar month", wholeNumber)
    .option("--expires-at <time>", "ISO 8601 time at which it stops working")
    .option("--json", "print {id, key, webhook_secret} as JSON")
    .action(async (options) => (await import("./keys.ts")).createKeyCommand(context, options));
  keys
    .command("list")
    .description("list keys, never their secrets")
    .option("--json", "print JSON")
    .action(async (options) => (await import("./keys.ts")).listKeysCommand(context, options));
  keys
    .command("revoke")
    .description("make a key stop working")
    .argument("<id>", "the key's id")
    .action(async (id) => (await import("./keys.ts")).revokeKeyCommand(context, id));
}

function addConvert(program: Command, context: CommandContext): void {
  program
    .command("convert")
    .description("convert one file here and now, without a server or a database")
    .argument("<input>", "file to read")
    .argument("<output>", "file to write; its extension chooses the container")
    .option("--video-codec <codec>", "h264, h265, vp9, av1, copy, none, …")
    .option("--audio-codec <codec>", "aac, opus, mp3, flac, copy, none, …")
    .option("--crf <n>", "constant quality; lower is better", decimal)
    .option("--preset <name>", "the encoder's speed preset")
    .option("--video-bitrate <rate>", "such as 2M or 2500k")
    .option("--audio-bitrate <rate>", "such as 128k")
    .option("--fps <n>", "frames a second", decimal)
    .option("--width <n>", "in pixels", wholeNumber)
    .option("--height <n>", "in pixels", wholeNumber)
    .option("--start <time>", "seconds or HH:MM:SS.mmm")
    .option("--duration <time>", "seconds or HH:MM:SS.mmm")
    .option("--format <name>", "container, when the extension does not say")
    .option("--named-preset <name>", "a preset of Rendiff, such as web; what is given beside it wins")
    .option("--operations <json>", "further operations, as POST /convert takes them")
    .option("--no-overwrite", "fail if the output exists")
    .option("--json", "print the result as JSON")
    .action(async (input, output, options) =>
      (await import("./convert.ts")).convertCommand(context, input, output, options),
    );
}

function addArchive(program: Command, context: CommandContext): void {
  program
    .command("export")
    .description("write everything the database holds into one file (embedded: while no server runs)")
    .argument("<file>", "file to write, secrets included; - is the standard output")
    .option("--json", "print the counts as JSON")
    .action(async (file, options) => (await import("./archive.ts")).exportCommand(context, file, options));
  program
    .command("import")
    .description("bring an exported file into an empty database, and compare every row")
    .argument("<file>", "file to read; - is the standard input")
    .option("--check", "only read the file and say whether it is whole")
    .option("--json", "print the counts as JSON")
    .action(async (file, options) => (await import("./archive.ts")).importCommand(context, file, options));
  program
    .command("outputs")
    .description("what jobs have made (with an embedded database: while no server runs)")
    .command("verify")
    .description("hold every recorded output against the storage; exit with 1 where they do not agree")
    .option("--repair", "make copies with the recorded bytes the outputs, and record what is gone as deleted")
    .option("--json", "print the counts as JSON")
    .action(async (options) => (await import("./outputs.ts")).verifyOutputsCommand(context, options));
}

export function makeProgram(context: CommandContext): Command {
  const program = new Command("rendiff")
    .description("FFmpeg behind a REST and WebSocket API.")
    .version(VERSION, "-V, --version")
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => context.err(text.trimEnd()),
    })
    .exitOverride()
    .showHelpAfterError("(--help says what it takes)");
  program
    .command("serve")
    .description("start the server")
    .option("--role <role>", "api, worker or combined; wins over RENDIFF_ROLE")
    .action(async (options) => (await import("./serve.ts")).serveCommand(context, options));
  program
    .command("migrate")
    .description("bring the database up to date and end")
    .option("--check", "change nothing; exit with 1 if something is pending")
    .action(async (options) => (await import("./migrate.ts")).migrateCommand(context, options));
  addKeys(program, context);
  addConvert(program, context);
  addArchive(program, context);
  program
    .command("audit")
    .description("the log of who did what (with an embedded database: while no server runs)")
    .command("verify")
    .description("check that no entry was changed or is missing; exit with 1 otherwise")
    .action(async () => (await import("./audit.ts")).verifyAuditCommand(context));
  program
    .command("probe")
    .description("print what a file contains, as JSON")
    .argument("<file>", "file to read")
    .action(async (file) => (await import("./probe.ts")).probeCommand(context, file));
  program
    .command("doctor")
    .description("say what works on this machine and what to install")
    .action(async () => (await import("./doctor.ts")).doctorCommand(context));
  program
    .command("health")
    .description("ask a running server how it is; exit with 1 unless it is ready")
    .option("--url <url>", "the server's address (default: from API_HOST and API_PORT)")
    .action(async (options) => (await import("./health.ts")).healthCommand(context, options));
  program
    .command("openapi")
    .description("print the OpenAPI document")
    .action(async () => (await import("./openapi.ts")).openapiCommand(context));
  program
    .command("version")
    .description("print the version")
    .action(() => context.out(VERSION));
  return program;
}
