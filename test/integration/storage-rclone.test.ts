import { storageContract } from "../contract/storage.contract.ts";
import { S3_PROPERTIES, s3Subject } from "./s3-subject.ts";

storageContract("S3 on rclone", S3_PROPERTIES("rclone"), () => s3Subject("rclone"));
