/** The rules of `/uploads`: tus 1.0, and a plain PUT. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

const timestamp = z.iso.datetime();

export const uploadSchema = z.strictObject({
  id: z.string(),
  uri: z.string().describe("What a job takes as its input once the upload is complete."),
  name: z.string().describe("What the client called it."),
  status: z.enum(["receiving", "complete"]),
  bytes: z.int().nullable().describe("Of the whole; null while that is not known."),
  offset: z.int().describe("How many bytes are there."),
  media_type: z.string().nullable().describe("What probing found; null before, and for what is no media."),
  media: z.unknown().describe("What ffprobe says of it, normalised; null before, and for what is no media."),
  created_at: timestamp,
  expires_at: timestamp.describe("It goes then, unless more bytes come or a job that has not ended reads it."),
  links: z.strictObject({ self: z.string() }),
});
export type UploadView = z.infer<typeof uploadSchema>;

const TUS_HEADERS = { "Tus-Resumable": "1.0.0, in every request but OPTIONS." };
const CREATE_HEADERS = {
  ...TUS_HEADERS,
  "Upload-Length": "The bytes of the whole.",
  "Upload-Defer-Length": "1: the length is said later.",
  "Upload-Metadata": "Names and base64 values; filename is the upload's name.",
};
const OFFSET = "application/offset+octet-stream";
const OTHER_VERSION = { description: "Another version of tus." };
const OTHER_BYTES = { description: `Bytes that are not ${OFFSET}.` };
const NO_ROOM = { description: "There is no room for it." };

const tus = { at: "api", tag: "Uploads", access: "user" } as const;

export const uploadsRoutes: readonly RouteRule[] = [
  {
    ...tus,
    id: "uploads.options",
    method: "OPTIONS",
    path: "/uploads",
    access: "public",
    summary: "What of tus this server does",
    answers: { 204: { description: "Tus-Version, Tus-Extension and Tus-Max-Size." } },
  },
  {
    ...tus,
    id: "uploads.create",
    method: "POST",
    path: "/uploads",
    summary: "Begin a resumable upload (tus 1.0)",
    description: "The bytes follow with PATCH, from any client of tus. An upload is readable by the key that made it.",
    idempotent: true,
    headers: CREATE_HEADERS,
    bodyType: OFFSET,
    answers: {
      201: { description: "The upload; Location is where its bytes go.", schema: uploadSchema },
      412: OTHER_VERSION,
      413: { description: "Larger than UPLOAD_LIMIT." },
      415: OTHER_BYTES,
      503: NO_ROOM,
    },
  },
  {
    ...tus,
    id: "uploads.head",
    method: "HEAD",
    path: "/uploads/:id",
    access: "readonly",
    summary: "How much of a resumable upload is there",
    headers: TUS_HEADERS,
    answers: { 200: { description: "Upload-Offset and Upload-Length." } },
  },
  {
    ...tus,
    id: "uploads.get",
    method: "GET",
    path: "/uploads/:id",
    access: "readonly",
    summary: "An upload, and what it is",
    answers: { 200: { description: "The upload.", schema: uploadSchema } },
  },
  {
    ...tus,
    id: "uploads.append",
    method: "PATCH",
    path: "/uploads/:id",
    summary: "Send bytes of a resumable upload",
    description: "What arrived before a connection broke is kept. One request at a time writes; a later one ends it.",
    headers: { ...TUS_HEADERS, "Upload-Offset": "Where these bytes begin: what HEAD says." },
    bodyType: OFFSET,
    answers: {
      204: { description: "Upload-Offset is what is there now." },
      412: OTHER_VERSION,
      413: { description: "More than was announced, or than UPLOAD_LIMIT." },
      415: OTHER_BYTES,
      503: { description: "The disk is full; what was written before is kept." },
    },
  },
  {
    ...tus,
    id: "uploads.delete",
    method: "DELETE",
    path: "/uploads/:id",
    summary: "Delete an upload",
    headers: TUS_HEADERS,
    answers: { 204: { description: "It is gone." } },
  },
  {
    ...tus,
    id: "uploads.put",
    method: "PUT",
    path: "/uploads/:id",
    summary: "Upload a file in one request",
    description: "The last part of the path is the file's name. What breaks off is not kept: large files go by tus.",
    bodyType: "application/octet-stream",
    answers: {
      201: { description: "The upload.", schema: uploadSchema },
      413: { description: "Larger than UPLOAD_LIMIT." },
      503: NO_ROOM,
    },
  },
];
