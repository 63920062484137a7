/** What a container finds mounted: the files that its settings ending in `_FILE` name. */
import { join } from "node:path";
import { makeTempDir } from "../support/temp-dir.ts";

const CONTENTS: Readonly<Record<string, string>> = {
  DATABASE_URL_FILE: "postgres://rendiff:secret@postgres.example.com/rendiff",
  REDIS_URL_FILE: "rediss://:secret@redis.example.com",
  ADMIN_API_KEYS_FILE: "an-admin-key-of-some-length",
  SIGNING_SECRET_FILE: "a-signing-secret-of-more-than-thirty-two-characters",
};

/** The environment with secret files that are there. */
export async function withSecretFiles(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const folder = await makeTempDir("secrets");
  const moved = Object.entries(CONTENTS).filter(([name]) => name in env);
  for (const [name, content] of moved) await Bun.write(join(folder, name), content);
  return { ...env, ...Object.fromEntries(moved.map(([name]) => [name, join(folder, name)])) };
}
