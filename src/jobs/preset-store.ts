/**
 * Presets that clients store, beside those that every deployment has. Versions are rows and are never changed: a change
 * adds one, a deletion adds one without a spec, so that `name@3` means the same for ever, also to a job that ran with it.
 */
import { json, SqlConflict, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { type Preset, type PresetReference, parsePresetReference } from "../media/presets/apply.ts";
import { BUILT_IN_PRESETS, builtInPreset } from "../media/presets/built-in.ts";
import type { FindPreset } from "./convert.schema.ts";
import type { PresetChange } from "./presets.ts";
import type { KeyId } from "./types.ts";

/** Of one key, deleted ones not counted. */
const PRESETS_MAX = 1_000;

export interface StoredPreset extends Preset {
  readonly builtIn: boolean;
  /** Null for those that every deployment has. */
  readonly createdAt: Date | null;
}

const toBuiltIn = (preset: Preset): StoredPreset => ({ ...preset, builtIn: true, createdAt: null });

function toPreset(row: SqlRow): StoredPreset {
  const spec = row.spec as Pick<Preset, "operations" | "options">;
  return {
    ...{ name: row.name as string, version: row.version as number, description: row.description as string },
    ...{ operations: spec.operations, options: spec.options, builtIn: false, createdAt: row.created_at as Date },
  };
}

const COLUMNS = "p.name, p.version, p.spec, p.description, p.created_at";
const EXISTS = "p.spec <> 'null'::jsonb";
/** Over `presets p`. */
const IS_NEWEST = `p.version = (
  SELECT max(q.version) FROM presets q WHERE q.key_id = p.key_id AND q.name = p.name)`;

/** Those of every deployment first, then the key's own; of each the newest version. */
export async function listPresets(sql: SqlRunner, keyId: KeyId): Promise<StoredPreset[]> {
  const rows = await sql.query(
    `SELECT ${COLUMNS} FROM presets p WHERE p.key_id = $1 AND ${IS_NEWEST} AND ${EXISTS} ORDER BY p.name`,
    [keyId],
  );
  return [...BUILT_IN_PRESETS.map(toBuiltIn), ...rows.map(toPreset)];
}

/** Null when there is none with this name for this key, or not in this version. */
export async function findPreset(
  sql: SqlRunner,
  keyId: KeyId,
  { name, version }: PresetReference,
): Promise<StoredPreset | null> {
  const builtIn = builtInPreset(name);
  if (builtIn !== null) return toBuiltIn(builtIn);
  const [row] = await sql.query(
    `SELECT ${COLUMNS} FROM presets p WHERE p.key_id = $1 AND p.name = $2 AND ${EXISTS}
       AND ($3::integer IS NULL AND ${IS_NEWEST} OR p.version = $3::integer)`,
    [keyId, name, version],
  );
  return row === undefined ? null : toPreset(row);
}

/** The presets that bodies name, so that they can be merged in without asking again; looks nothing up for others. */
export async function presetFinder(sql: SqlRunner, keyId: KeyId, bodies: readonly unknown[]): Promise<FindPreset> {
  const found = new Map<string, Preset | null>();
  for (const body of bodies) {
    const text = (body as { options?: { preset?: unknown } | null } | null)?.options?.preset;
    const reference = typeof text === "string" ? parsePresetReference(text) : null;
    if (reference === null || builtInPreset(reference.name) !== null) continue;
    const key = JSON.stringify([reference.name, reference.version]);
    if (!found.has(key)) found.set(key, await findPreset(sql, keyId, reference));
  }
  return ({ name, version }) => builtInPreset(name) ?? found.get(JSON.stringify([name, version])) ?? null;
}

const readOnly = (name: string): RendiffError =>
  new RendiffError({
    kind: "request.conflict",
    publicMessage: `The preset ${name} is built in and cannot be changed.`,
  });

const conflict = (publicMessage: string): RendiffError => new RendiffError({ kind: "request.conflict", publicMessage });

const INSERT = `
WITH newest AS (
  SELECT coalesce(max(p.version), 0) AS version, coalesce(bool_and(${EXISTS}) FILTER (WHERE ${IS_NEWEST}), false) AS there
  FROM presets p WHERE p.key_id = $1 AND p.name = $2),
added AS (
  INSERT INTO presets AS p (key_id, name, version, spec, description)
  SELECT $1, $2, n.version + 1, $3::jsonb, $4 FROM newest n WHERE n.there = $5::boolean
  RETURNING ${COLUMNS})
SELECT * FROM added`;

/** Adds the next version where the preset is there (`there`) or is not; null otherwise. */
async function addVersion(
  sql: SqlRunner,
  keyId: KeyId,
  name: string,
  { there, change }: { readonly there: boolean; readonly change: PresetChange | null },
): Promise<SqlRow | null> {
  const spec = change === null ? null : { operations: change.operations, options: change.options };
  try {
    const [row] = await sql.query(INSERT, [keyId, name, json(spec), change?.description ?? "", there]);
    return row ?? null;
  } catch (error) {
    if (error instanceof SqlConflict) throw conflict("The preset was changed by another request at the same time.");
    throw error;
  }
}

/** Throws `request.conflict` when the name is taken. */
export async function createPreset(
  sql: SqlRunner,
  keyId: KeyId,
  { name, ...change }: PresetChange & { readonly name: string },
): Promise<StoredPreset> {
  if (builtInPreset(name) !== null) throw readOnly(name);
  const own = (await listPresets(sql, keyId)).filter(({ builtIn }) => !builtIn);
  if (own.length >= PRESETS_MAX) throw conflict(`A key has at most ${PRESETS_MAX} presets.`);
  const row = await addVersion(sql, keyId, name, { there: false, change });
  if (row === null) throw conflict(`There is a preset ${name} already; PUT makes its next version.`);
  return toPreset(row);
}

/** The next version; null when there is no such preset. */
export async function changePreset(
  sql: SqlRunner,
  keyId: KeyId,
  name: string,
  change: PresetChange,
): Promise<StoredPreset | null> {
  if (builtInPreset(name) !== null) throw readOnly(name);
  const row = await addVersion(sql, keyId, name, { there: true, change });
  return row === null ? null : toPreset(row);
}

/** False when there is no such preset. Jobs that name it keep what they were made with. */
export async function deletePreset(sql: SqlRunner, keyId: KeyId, name: string): Promise<boolean> {
  if (builtInPreset(name) !== null) throw readOnly(name);
  return (await addVersion(sql, keyId, name, { there: true, change: null })) !== null;
}
