/** The OpenAPI document, without a server. */
import { openapiDocument } from "../../plugins/docs/openapi.ts";
import { VERSION } from "../version.ts";

export const apiDocument = (): unknown => openapiDocument({ version: VERSION });
