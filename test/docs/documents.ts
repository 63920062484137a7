/** Every document of the checkout, and where its blocks are run. */
export interface DocumentRule {
  readonly files: RegExp;
  /** A test file that runs each block of the document in order, or says why its blocks are run elsewhere. */
  readonly run: string;
}

export const DOCUMENTS: readonly DocumentRule[] = [
  { files: /^README\.md$/, run: "test/docs/readme.test.ts" },
  { files: /^docs\/(setup|storage|performance|security|deployment|monitoring)\.md$/, run: "test/docs/guides.test.ts" },
  { files: /^docs\/api\.md$/, run: "test/docs/api.test.ts" },
  { files: /^docs\/(operations|upgrading)\.md$/, run: "test/docs/operations.test.ts" },
  { files: /^docs\/configuration\.md$/, run: "scripts/generators.ts" },
  { files: /^(ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY)\.md$/, run: "none: they hold nothing to run" },
  // What they speak of are images, clusters and alerts, which tests of their own start.
  { files: /^docs\/runbooks\/[A-Za-z0-9-]+\.md$/, run: "test/deploy/" },
  { files: /^(deploy|k8s)\/.*\.md$/, run: "test/deploy/" },
];

/** Documents whose blocks are run by a test of this folder. */
export const isRunHere = (document: string): boolean =>
  DOCUMENTS.some(({ files, run }) => files.test(document) && run.startsWith("test/docs/"));

export const isRunElsewhere = (document: string): boolean =>
  DOCUMENTS.some(({ files, run }) => files.test(document) && run === "test/deploy/");
