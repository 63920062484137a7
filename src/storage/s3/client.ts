/** The S3 client of one backend, and how its errors read. The SDK is loaded when a backend is opened, not before. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { Dialect } from "../remote/errors.ts";

export interface S3Options {
  readonly name: string;
  /** Null: the first part of each key names it. */
  readonly bucket: string | null;
  readonly prefix: string;
  /** Null: AWS's own for the region. */
  readonly endpoint: string | null;
  /** Null: the SDK's own chain (AWS_REGION, the profile). */
  readonly region: string | null;
  /** Null: the SDK's own chain (environment, profile, instance role, web identity). */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** `bucket.host` instead of `host/bucket`; stores at an address of their own mostly want the latter. */
  readonly virtualHosts: boolean;
  /** The store honours If-Match and If-None-Match when an upload is completed or an object deleted. */
  readonly conditionalWrites: boolean;
  /** CRC32 on each part; some compatible stores refuse the header. */
  readonly checksums: boolean;
  /** The store drops parts that a completion does not name: an upload can carry a mark of whose it is. */
  readonly marks: boolean;
  /** An upload without a mark that is older was begun by a process that died right then; ten minutes when absent. */
  readonly unmarkedMsMax?: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Tries of one request, by the SDK: 5xx, throttling, resets. */
const ATTEMPTS_MAX = 5;
const CONNECT_TIMEOUT_MS = 10_000;
/** Without a byte; a part on a slow line takes longer but never rests this long. */
const IDLE_TIMEOUT_MS = 30_000;

export type Sdk = typeof import("@aws-sdk/client-s3");

export async function openClient(options: S3Options): Promise<{ sdk: Sdk; client: S3Client }> {
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    // A store of one's own has no regions, but requests are signed for one.
    ...(options.region === null
      ? options.endpoint === null
        ? {}
        : { region: "us-east-1" }
      : { region: options.region }),
    // The SDK writes into the object that it is given, and the configuration is frozen.
    ...(options.credentials === null ? {} : { credentials: { ...options.credentials } }),
    forcePathStyle: !options.virtualHosts,
    requestChecksumCalculation: options.checksums ? "WHEN_SUPPORTED" : "WHEN_REQUIRED",
    responseChecksumValidation: options.checksums ? "WHEN_SUPPORTED" : "WHEN_REQUIRED",
    maxAttempts: ATTEMPTS_MAX,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
    // Warnings of the SDK would go to the console.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
  return { sdk, client };
}

interface SdkError {
  readonly name?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export const S3_DIALECT: Dialect = {
  statusOf(error) {
    const { name, $metadata } = error as SdkError;
    // S3 reports a failed copy or completion in the body of a 200.
    if (name === "InternalError" || name === "SlowDown" || name === "ServiceUnavailable") return 503;
    if (name === "NoSuchUpload" || name === "NoSuchKey" || name === "NoSuchBucket" || name === "NotFound") return 404;
    if (name === "PreconditionFailed") return 412;
    return $metadata?.httpStatusCode ?? null;
  },
};

export const isNamed = (error: unknown, name: string): boolean => (error as SdkError).name === name;

/** The SDK tells an absent signal from an undefined one. */
export const aborting = (signal: AbortSignal | undefined): { abortSignal?: AbortSignal } =>
  signal === undefined ? {} : { abortSignal: signal };
