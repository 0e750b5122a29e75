/** Accounts, grants and the audit, as their dialogs show them. */

import type { AuditEntry, GrantView } from "../api/generated.js";
import { parseMoment } from "./moment.js";

/** As the server has them. */
export const ACCOUNT_NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/;
export const SHORTEST_PASSWORD = 10;

/** The role's own grant as an administrator finds it: there, or taken away. */
export function isRolesOwn({ id }: Pick<GrantView, "id">): boolean {
  return id.startsWith("default-");
}

/** The page lists grants that were taken away only of the roles' own: they can be given back. */
export function isTakenAway({ rights }: Pick<GrantView, "rights">): boolean {
  return rights.length === 0;
}

/** An optional time: null where nothing is written, undefined where it is none. */
export function optionalMoment(text: string): string | null | undefined {
  if (text.trim() === "") return null;
  const ms = parseMoment(text);
  return ms === null ? undefined : new Date(ms).toISOString();
}

/** Actions of the audit by what somebody asks for. */
export const AUDIT_KINDS = {
  all: [],
  watched: ["viewing-live", "viewed-live", "viewing-recording", "viewed-recording", "viewed-still"],
  taken: ["exported", "export-downloaded", "incident-report"],
  signed: ["signed-in", "signed-out", "sign-in-refused"],
  refused: ["refused", "sign-in-refused"],
  changed: [
    "changed",
    "camera-added",
    "camera-updated",
    "camera-removed",
    "export-cancelled",
    "export-deleted",
    "incident-opened",
    "incident-updated",
    "incident-remarked",
    "incident-closed",
    "incident-reopened",
    "incident-released",
    "event-acknowledged",
    "site-granted",
    "site-withdrawn",
  ],
  audit: ["audit-read", "audit-digest"],
} as const satisfies Record<string, readonly string[]>;

export type AuditKind = keyof typeof AUDIT_KINDS;

export interface AuditFilter {
  fromMs: number;
  toMs: number;
  camera: string;
  person: string;
  kind: AuditKind;
}

/** The newest so many are shown; the table for spreadsheets has more. */
export const AUDIT_SHOWN = 500;
export const AUDIT_CSV_MOST = 10_000;

export function auditQuery({ fromMs, toMs, camera, person, kind }: AuditFilter, limit: number): URLSearchParams {
  const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
  if (camera.trim()) query.set("camera", camera.trim());
  if (person.trim()) query.set("person", person.trim());
  for (const action of AUDIT_KINDS[kind]) query.append("action", action);
  query.set("limit", String(limit));
  return query;
}

/** When it was: of a view from its beginning to its end (null: it goes on), else one moment twice. */
export function auditSpan({ at, since, until }: Pick<AuditEntry, "at" | "since" | "until">): [number, number | null] {
  if (since === "") return [Date.parse(at), Date.parse(at)];
  return [Date.parse(since), until === "" ? null : Date.parse(until)];
}
