// Makes the calls that a test asks for with the real @azure-rest/ai-vision-face client.
//
// Reads one JSON object a line from stdin and prints one a line to stdout. A command:
//
//   {"endpoint": URL, "key": KEY, "bearer": whether KEY is a bearer token, "api_version": V or null,
//    "retries": N or null, "path": "/detectLiveness-sessions/{sessionId}", "params": [...],
//    "method": "get", "options": {...}, "stream": true where the answer's body is bytes}
//
// In `options` {"$bytes": HEX} stands for a Buffer. What comes back: "status", "unexpected" (what the
// client's own isUnexpected says), "value" or "error"; and "attempts", one for each time that a request went
// out and was answered.

import { createInterface } from "node:readline";
import * as face from "@azure-rest/ai-vision-face";
import { AzureKeyCredential } from "@azure/core-auth";

const createClient = typeof face.default === "function" ? face.default : face.default.default;
const isUnexpected = face.isUnexpected ?? face.default.isUnexpected;

function revive(written) {
  if (Array.isArray(written)) return written.map(revive);
  if (written === null || typeof written !== "object") return written;
  if (typeof written.$bytes === "string") return Buffer.from(written.$bytes, "hex");
  return Object.fromEntries(Object.entries(written).map(([name, item]) => [name, revive(item)]));
}

function connect(command, attempts) {
  const settings = {};
  if (command.api_version) settings.apiVersion = command.api_version;
  if (command.retries !== undefined && command.retries !== null) {
    settings.retryOptions = { maxRetries: command.retries };
  }
  const token = { token: command.key, expiresOnTimestamp: Date.now() + 3_600_000 };
  const credential = command.bearer
    ? { getToken: async () => token }
    : new AzureKeyCredential(command.key);
  const client = createClient(command.endpoint, credential, settings);
  const watch = {
    name: "watch",
    async sendRequest(request, next) {
      const response = await next(request);
      attempts.push({
        request_id: request.headers.get("x-ms-client-request-id"),
        url: request.url,
        status: response.status,
        headers: response.headers.toJSON(),
      });
      return response;
    },
  };
  // below the retries, so that it sees each of them
  client.pipeline.addPolicy(watch, { afterPhase: "Retry" });
  return client;
}

async function drain(stream) {
  const parts = [];
  for await (const part of stream ?? []) parts.push(part);
  return Buffer.concat(parts);
}

async function perform(command) {
  const attempts = [];
  const told = { attempts };
  try {
    const resource = connect(command, attempts).path(command.path, ...(command.params ?? []));
    const call = resource[command.method](revive(command.options ?? {}));
    const response = command.stream ? await call.asNodeStream() : await call;
    told.status = Number(response.status);
    told.value = response.body;
    if (command.stream) {
      const bytes = await drain(response.body);
      const isFailure = told.status >= 400;
      told.value = isFailure ? JSON.parse(bytes.toString()) : { $bytes: bytes.toString("hex") };
    }
    told.unexpected = isUnexpected(response);
  } catch (error) {
    told.error = { type: error.name, code: error.code ?? null, message: error.message };
  }
  return told;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await perform(JSON.parse(line))));
}
