/** How one setting is declared: a zod schema from text to value, with what the documentation says of it beside it. */
import { z } from "zod";
import type { Kind } from "./kinds.ts";

export interface SettingInfo {
  /** What the value is, for tables. */
  readonly kind: string;
  /** The default as one would write it; null when there is none. */
  readonly default: string | null;
  /** What happens without a value, for tables; where it differs from `default`. */
  readonly without: string;
  readonly meaning: string;
  /** Never shown in a message or a log; can also be given as a file, through the name with `_FILE` behind it. */
  readonly secret: boolean;
}

interface Declaration {
  readonly meaning: string;
  readonly secret?: boolean;
}

const infos = z.registry<SettingInfo>();

/** A setting without a value parses its default, as if it had been written. */
export function setting<T>(kind: Kind<T>, declaration: Declaration & { readonly default: string }) {
  const schema = fromText(kind, declaration.secret ?? false).prefault(declaration.default);
  infos.add(schema, toInfo(kind, declaration, declaration.default, declaration.default));
  return schema;
}

/** A setting that may be absent: null then, and `without` says in words what that means. */
export function optional<T>(kind: Kind<T>, declaration: Declaration & { readonly without: string }) {
  const schema = fromText(kind, declaration.secret ?? false)
    .nullable()
    .prefault(null);
  infos.add(schema, toInfo(kind, declaration, null, declaration.without));
  return schema;
}

export function infoOf(schema: z.ZodType): SettingInfo {
  const info = infos.get(schema);
  if (info === undefined) throw new Error("This schema is not a declared setting.");
  return info;
}

function toInfo(kind: Kind<unknown>, declaration: Declaration, value: string | null, without: string): SettingInfo {
  const { meaning, secret = false } = declaration;
  return { kind: kind.label, default: value, without, meaning, secret };
}

function fromText<T>(kind: Kind<T>, secret: boolean) {
  return z.string().transform((given, context): T => {
    const value = kind.parse(given.trim());
    if (value !== undefined) return value;
    const shown = secret ? "" : ` (it is ${JSON.stringify(given.slice(0, 100))})`;
    context.issues.push({ code: "custom", message: `must be ${kind.expects}${shown}`, input: given });
    return z.NEVER;
  });
}
