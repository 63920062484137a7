import { storageContract } from "../contract/storage.contract.ts";
import { S3_PROPERTIES, s3Subject } from "./s3-subject.ts";

storageContract("S3 on minio", S3_PROPERTIES("minio"), () => s3Subject("minio"));
