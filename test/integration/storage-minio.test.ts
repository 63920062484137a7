import { storageContract } from "../contract/storage.contract.ts";
import { copyingContract } from "../contract/storage-copying.contract.ts";
import { S3_PROPERTIES, s3Subject } from "./s3-subject.ts";

storageContract("S3 on minio", S3_PROPERTIES("minio"), () => s3Subject("minio"));

// With them MinIO completes no upload of copied parts, whose sums it does not make: the bytes go through the program then.
copyingContract("S3 on minio, without checksums", () => s3Subject("minio", { checksums: false }));
