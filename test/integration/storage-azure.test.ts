import { BlobServiceClient } from "@azure/storage-blob";
import { openAzureBackend } from "../../src/storage/azure/azure-backend.ts";
import { storageContract } from "../contract/storage.contract.ts";
import { copyingContract } from "../contract/storage-copying.contract.ts";
import { azureConnectionString, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";

let containers = 0;

async function subject() {
  const { url } = await startStore("azurite");
  const container = `container-${containers++}`;
  const connectionString = azureConnectionString(url);
  await BlobServiceClient.fromConnectionString(connectionString).createContainer(container);
  const access = { connectionString };
  const open = () =>
    openAzureBackend({ name: "azure", bucket: container, prefix: "", access, readable: true, writable: true });
  return { backend: await open(), reopen: open, workDir: await makeTempDir("work") };
}

storageContract(
  "Azure Blob on Azurite",
  {
    ...{ type: "azure", readable: true, writable: true, publishing: "copy", inPlace: false, findsStaging: true },
    ...{ conditionalDelete: true, conditionalPublish: true },
  },
  subject,
);

copyingContract("Azure Blob on Azurite", subject);
