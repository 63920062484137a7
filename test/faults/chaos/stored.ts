/**
 * Where the outputs of chaos go: the shared folder, or a bucket of a real S3 server. Read and written for the judge and for
 * what is planted, with none of the code that is judged.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../../support/stores.ts";

export interface Stored {
  /** What a client calls an output of this name. */
  uri(name: string): string;
  /** Null: it is not there. */
  read(name: string): Promise<Uint8Array | null>;
  write(name: string, bytes: string | Uint8Array): Promise<unknown>;
  remove(name: string): Promise<unknown>;
  /** What was begun and is not published, in words. */
  begun(): Promise<string[]>;
  /** Begins something, as one does who dies then; resolves to how that is undone. */
  begin(name: string): Promise<() => Promise<unknown>>;
}

export interface StoredWithEnv {
  readonly stored: Stored;
  /** What the replicas have to know of it. */
  readonly env: Readonly<Record<string, string>>;
}

export function makeFolderStored(root: string): StoredWithEnv {
  const stored: Stored = {
    uri: (name) => name,
    read: async (name) => ((await Bun.file(join(root, name)).exists()) ? Bun.file(join(root, name)).bytes() : null),
    async write(name, bytes) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await Bun.write(join(root, name), bytes);
    },
    remove: (name) => rm(join(root, name)),
    async begun() {
      const names = await readdir(root, { recursive: true });
      return names.filter((name) => /(^|\/)\.rendiff-/.test(name)).map((name) => `staged bytes are left: ${name}`);
    },
    async begin(name) {
      const path = join(root, `.rendiff-${name}`);
      await writeFile(path, "");
      return () => rm(path);
    },
  };
  return { stored, env: {} };
}

const CREDENTIALS = { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY };

/** `bucket`: exists. */
function makeS3Stored(client: S3Client, bucket: string): Stored {
  // MinIO lists the uploads of one object only, so they are asked for by each name that there may be.
  const names = new Set<string>();
  const at = (name: string) => ({ Bucket: bucket, Key: name });
  return {
    uri(name) {
      names.add(name);
      return `minio://${name}`;
    },
    async read(name) {
      try {
        return (await (await client.send(new GetObjectCommand(at(name)))).Body?.transformToByteArray()) ?? null;
      } catch (error) {
        if (error instanceof NoSuchKey) return null;
        throw error;
      }
    },
    write: (name, bytes) => client.send(new PutObjectCommand({ ...at(name), Body: bytes })),
    remove: (name) => client.send(new DeleteObjectCommand(at(name))),
    async begun() {
      const found = await Promise.all(
        [...names].map(async (name) => {
          const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: name }));
          return (Uploads ?? []).map(({ UploadId }) => `an upload is left: ${name} ${UploadId}`);
        }),
      );
      return found.flat();
    },
    async begin(name) {
      names.add(name);
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(at(name)));
      return () => client.send(new AbortMultipartUploadCommand({ ...at(name), UploadId }));
    },
  };
}

/** `folder`: for the replicas' configuration. The server is stopped after the test file. */
export async function startS3Stored(folder: string): Promise<StoredWithEnv> {
  const { url } = await startStore("minio");
  const client = new S3Client({ endpoint: url, region: "us-east-1", forcePathStyle: true, credentials: CREDENTIALS });
  const bucket = `chaos-${Bun.randomUUIDv7()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const minio = {
    ...{ type: "s3", endpoint: url, bucket, access_key_id_env: "STORE_KEY", secret_access_key_env: "STORE_SECRET" },
    ...{ conditional_writes: true, drops_unnamed_parts: true },
  };
  const config = join(folder, "storage.yml");
  await writeFile(config, JSON.stringify({ backends: { minio } }));
  return {
    stored: makeS3Stored(client, bucket),
    env: { STORAGE_CONFIG: config, STORE_KEY: ACCESS_KEY, STORE_SECRET: SECRET_KEY },
  };
}
