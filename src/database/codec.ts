/**
 * How values travel: both engines speak Postgres's text format, so one table settles what SQL values are in JavaScript.
 *
 * Parameters go out as text with the type left open, so that the statement decides it (a string is valid for text, uuid,
 * jsonb and timestamptz alike). Only values whose JavaScript type says it all carry an OID, which `SELECT $1` needs.
 */
import { Json, type SqlParam } from "./sql.ts";

export interface EncodedParam {
  /** Postgres text format; null is SQL NULL. */
  readonly text: string | null;
  /** The type's OID, or 0 to let the statement decide. */
  readonly oid: number;
}

const OID = { bool: 16, bytea: 17, jsonb: 3802, timestamptz: 1184 } as const;

export function encodeParam(value: SqlParam): EncodedParam {
  if (value === null) return { text: null, oid: 0 };
  switch (typeof value) {
    case "string":
      return { text: value, oid: 0 };
    case "number":
    case "bigint":
      return { text: String(value), oid: 0 };
    case "boolean":
      return { text: value ? "t" : "f", oid: OID.bool };
    default:
      return encodeObject(value);
  }
}

function encodeObject(value: Exclude<SqlParam, string | number | bigint | boolean | null>): EncodedParam {
  if (value instanceof Json) return { text: encodeJson(value.value), oid: OID.jsonb };
  if (value instanceof Date) return { text: value.toISOString(), oid: OID.timestamptz };
  if (value instanceof Uint8Array) return { text: `\\x${value.toHex()}`, oid: OID.bytea };
  if (Array.isArray(value)) return { text: encodeArray(value), oid: 0 };
  throw new TypeError("A SQL parameter must be a scalar, an array of strings or numbers, or json(value).");
}

function encodeJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError("json(undefined) is not a value; pass json(null) or null.");
  return text;
}

/** `{"a","b\"c",NULL}`: quoting every element spares us the list of what needs quotes. */
function encodeArray(values: readonly unknown[]): string {
  const items = values.map((item) => {
    if (item === null) return "NULL";
    if (typeof item === "string") return `"${item.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
    if (typeof item === "number") return String(item);
    throw new TypeError("A SQL array parameter holds strings, numbers or null.");
  });
  return `{${items.join(",")}}`;
}

type Parse = (text: string) => unknown;

/** `2026-01-02 03:04:05.678901+00` → Date; a timestamp without a zone is read as UTC, a date as its midnight in UTC. */
function parseTime(text: string): Date {
  const iso = text.length === 10 ? `${text}T00:00:00` : text.replace(" ", "T");
  const zone = /[+-]\d\d(:\d\d)?$/.exec(iso.slice(10));
  if (zone === null) return new Date(`${iso}Z`);
  return new Date(zone[1] === undefined ? `${iso}:00` : iso);
}

const parseNumber: Parse = Number;
const parseText: Parse = (text) => text;
const parseBool: Parse = (text) => text === "t";
const parseJson: Parse = (text) => JSON.parse(text) as unknown;
const parseBytea: Parse = (text) => Uint8Array.fromHex(text.slice(2));

/** A one-dimensional array in text format; we store no others. */
export function parseArray(text: string, parse: Parse): unknown[] {
  const items: unknown[] = [];
  let at = 1;
  while (at < text.length - 1) {
    let item = "";
    const quoted = text[at] === '"';
    if (quoted) at += 1;
    for (; at < text.length; at += 1) {
      const char = text[at] as string;
      if (char === "\\") {
        at += 1;
        item += text[at] as string;
      } else if (quoted ? char === '"' : char === "," || char === "}") {
        break;
      } else {
        item += char;
      }
    }
    if (quoted) at += 1;
    items.push(!quoted && item === "NULL" ? null : parse(item));
    at += 1;
  }
  return items;
}

/** [element OID, array OID, parser]: what both engines turn into something other than text. */
const TYPES: readonly (readonly [oid: number, arrayOid: number, parse: Parse])[] = [
  [OID.bool, 1000, parseBool],
  [OID.bytea, 1001, parseBytea],
  [19, 1003, parseText], // name
  [25, 1009, parseText],
  [1043, 1015, parseText], // varchar
  [2950, 2951, parseText], // uuid
  [20, 1016, parseNumber], // int8: our counters stay below 2^53
  [21, 1005, parseNumber], // int2
  [23, 1007, parseNumber], // int4
  [26, 1028, parseNumber], // oid
  [700, 1021, parseNumber], // float4
  [701, 1022, parseNumber], // float8
  [1700, 1231, parseNumber], // numeric: only sums and averages of the above
  [114, 199, parseJson],
  [OID.jsonb, 3807, parseJson],
  [1082, 1182, parseTime], // date
  [1114, 1115, parseTime], // timestamp
  [OID.timestamptz, 1185, parseTime],
];

/** OID → parser of the text format; a type that is not listed stays text. */
export const PARSERS: Readonly<Record<number, Parse>> = Object.freeze(
  Object.fromEntries(
    TYPES.flatMap(([oid, arrayOid, parse]) => [
      [oid, parse],
      [arrayOid, (text: string) => parseArray(text, parse)],
    ]),
  ),
);

/** OIDs whose parameters a driver must send exactly as `encodeParam` wrote them. */
export const PARAM_OIDS: readonly number[] = [...TYPES.map(([oid]) => oid), ...TYPES.map(([, oid]) => oid)];
