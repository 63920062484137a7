/** The one S3, Azure and Google backend that variables describe without a file; their keys begin with a bucket's name. */
import type { BackendConfig } from "./config.ts";
import { toAbsolute } from "./kinds.ts";
import type { SettingValues } from "./schema.ts";

const WHOLE = { bucket: null, prefix: "", readable: true, writable: true } as const;

function plainS3(values: SettingValues): BackendConfig[] {
  const { S3_ENDPOINT: endpoint, S3_REGION: region } = values;
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = values;
  if ([endpoint, region, accessKeyId, secretAccessKey].every((value) => value === null)) return [];
  // At an address of its own a store is believed to know less than AWS; STORAGE_CONFIG can say that it does.
  const isAws = endpoint === null;
  return [
    {
      ...{ type: "s3", name: "s3", ...WHOLE, endpoint, region, checksums: true },
      ...{ virtualHosts: isAws, conditionalWrites: isAws, marks: isAws },
      credentials: accessKeyId === null || secretAccessKey === null ? null : { accessKeyId, secretAccessKey },
    },
  ];
}

export function plainBackends(values: SettingValues, cwd: string): readonly BackendConfig[] {
  const { AZURE_STORAGE_CONNECTION_STRING: connectionString, GCS_ENDPOINT: endpoint } = values;
  const credentials = values.GOOGLE_APPLICATION_CREDENTIALS;
  const found = plainS3(values);
  if (connectionString !== null) found.push({ type: "azure", name: "azure", ...WHOLE, access: { connectionString } });
  if (endpoint !== null || credentials !== null) {
    const keyFilename = credentials === null ? null : toAbsolute(cwd, credentials);
    found.push({ type: "gcs", name: "gcs", ...WHOLE, endpoint, keyFilename, conditionalWrites: endpoint === null });
  }
  return found;
}
