/** What a client can call, as data: the shape of one route's rule. */
import type { z } from "zod";
import type { Role } from "../src/security/roles.ts";

export const API_PREFIX = "/api/v1";

/**
 * `public` needs no key; `metrics` asks for the caller's network instead, `signed` for the token in its path; a role
 * needs a key with that role or a higher one.
 */
export type Access = "public" | "metrics" | "signed" | Role;
export type Method = "OPTIONS" | "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Answer {
  readonly description: string;
  /** None: the answer has no JSON body. */
  readonly schema?: z.ZodType;
  /** `application/json` when there is a schema and nothing else is said. */
  readonly mediaType?: string;
}

export interface RouteRule {
  /** Unique: the OpenAPI operation and the endpoint of the rate limit. */
  readonly id: string;
  readonly method: Method;
  /** Below `/api/v1`, with `:name` for parameters. */
  readonly path: string;
  /** `both`: at the root as well. */
  readonly at: "api" | "both";
  readonly access: Access;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** The body is bytes of this type instead. */
  readonly bodyType?: string;
  /** Headers that a client may send, and what each says. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Takes `Idempotency-Key`. */
  readonly idempotent?: boolean;
  /** Answers for as long as the client listens: there is no HEAD for it. */
  readonly endless?: boolean;
}
