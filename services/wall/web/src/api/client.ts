/** The HTTP API. Every failure is an `ApiError`, whose `detail` may be shown. */

import { noteServerTime } from "../model/site-clock.js";
import type {
  AccountChange,
  AccountsView,
  AccountView,
  AcknowledgedEvent,
  AuditView,
  BusiestView,
  BusyView,
  CameraInput,
  CameraPatch,
  CamerasView,
  CameraView,
  CoverageView,
  DigestEntry,
  DigestsView,
  EventView,
  ExportRequest,
  ExportsView,
  ExportView,
  GrantsView,
  GrantView,
  ImportJob,
  ImportRow,
  ImportRowsView,
  Incident,
  IncidentInput,
  IncidentPatch,
  IncidentsView,
  Layout,
  LayoutInput,
  LayoutPatch,
  LayoutsView,
  Me,
  NewAccount,
  NewGrant,
  NewToken,
  NewTokenView,
  NextActivityView,
  PasswordRequest,
  ProbeInput,
  ProbeView,
  Problem,
  RecentView,
  RecoveryCodes,
  Screen,
  ScreenOrderInput,
  ScreensView,
  ScreenView,
  SessionView,
  SignInRequest,
  SignInsView,
  SignInView,
  TimelineView,
  TokensView,
  TokenView,
  TotpConfirmation,
  TotpOffer,
  Tour,
  TourInput,
  ToursView,
  Trouble,
  TroublesView,
} from "./generated.js";
import type { Opening } from "./types.js";

export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 where the server did not answer. */
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly retryAfterMs: number | null = null,
    /** Form fields by name, where the server named them. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** Where the nearest footage is, when nothing is recorded at the asked moment. */
    readonly nearestMs: number | null = null,
  ) {
    super(detail);
  }

  /** Nothing was done. A server that fails, or does not answer, may have done it. */
  get refused(): boolean {
    return this.status >= 400 && this.status < 500;
  }

  get unanswered(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  let problem: Partial<Problem> = {};
  try {
    problem = (await response.json()) as Partial<Problem>;
  } catch {
    // Not problem+json, for example a proxy's page: the status is all there is.
  }
  const fields: Record<string, string> = {};
  for (const error of problem.errors ?? []) if (error.field) fields[error.field] = error.message;
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const detail = problem.detail ?? problem.title ?? `${response.status} ${response.statusText}`;
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
  const nearestMs = Date.parse(response.headers.get("Pantau-Nearest") ?? "");
  const nearest = Number.isFinite(nearestMs) ? nearestMs : null;
  return new ApiError(response.status, problem.code ?? "", detail, retryAfterMs, fields, nearest);
}

const REQUEST_LIMIT_MS = 15_000;
/** A camera may take long to say that it has nothing. */
const PROBE_LIMIT_MS = 40_000;
/** A year of entries may have to be read. */
const AUDIT_LIMIT_MS = 120_000;
/** A large file on a slow line. */
const IMPORT_LIMIT_MS = 600_000;

interface RequestOptions {
  body?: BodyInit;
  type?: string;
  headers?: Record<string, string>;
  limitMs?: number;
  /** 401 says that what was given is wrong, not that the sign-in is lost. */
  signsIn?: boolean;
}

export class Api {
  /** What was asked to be made and not answered yet → the request's id. */
  private readonly making = new Map<string, string>();

  /** `onAnswer` gets for every request whether the server answered; `onUnauthorized` is called when the sign-in is lost. */
  constructor(
    private readonly onAnswer: (answered: boolean) => void = () => undefined,
    private readonly onUnauthorized: () => void = () => undefined,
    private readonly base = "/api/v1",
  ) {}

  /** `read` takes the answer's body; the limit is for all of it. */
  private async request<T>(
    method: string,
    path: string,
    read: (response: Response) => Promise<T>,
    { body, type = "application/json", headers = {}, limitMs = REQUEST_LIMIT_MS, signsIn = false }: RequestOptions = {},
  ): Promise<T> {
    try {
      const sentMs = Date.now();
      const response = await fetch(this.base + path, {
        method,
        signal: AbortSignal.timeout(limitMs),
        ...(body !== undefined && { body, headers: { "Content-Type": type, ...headers } }),
      });
      // An answer out of a cache has the time of another day.
      if (!response.headers.has("Age")) noteServerTime(response.headers.get("Date"), sentMs, Date.now());
      if (!response.ok) throw await problemOf(response);
      const answer = await read(response);
      this.onAnswer(true);
      return answer;
    } catch (error) {
      const problem = error instanceof ApiError ? error : new ApiError(0, "no-answer", String(error));
      this.onAnswer(!problem.unanswered);
      if (problem.status === 401 && !signsIn) this.onUnauthorized();
      throw problem;
    }
  }

  private json<T>(method: string, path: string, body?: unknown, limitMs = REQUEST_LIMIT_MS): Promise<T> {
    return this.request(method, path, (response) => response.json() as Promise<T>, {
      limitMs,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  /** Makes something. Asked again after an answer that was lost it is the same request, which makes nothing more. */
  private async make<T>(path: string, wanted: object): Promise<T> {
    const asked = JSON.stringify([path, wanted]);
    const request_id = this.making.get(asked) ?? newRequestId();
    this.making.set(asked, request_id);
    try {
      const made = await this.json<T>("POST", path, { ...wanted, request_id });
      this.making.delete(asked);
      return made;
    } catch (error) {
      if (error instanceof ApiError && error.refused) this.making.delete(asked);
      throw error;
    }
  }

  me(): Promise<Me> {
    return this.json("GET", "/me");
  }

  /** In the same name as before: what was locked goes on. */
  async signIn(given: SignInRequest): Promise<void> {
    const body = JSON.stringify(given);
    await this.request("POST", "/sign-in", async () => undefined, { body, signsIn: true });
  }

  async changePassword(passwords: PasswordRequest): Promise<void> {
    await this.request("PUT", "/me/password", async () => undefined, { body: JSON.stringify(passwords) });
  }

  /** A secret for an authenticator; nothing is kept of it before it is confirmed. */
  offerTotp(): Promise<TotpOffer> {
    return this.json("POST", "/me/totp");
  }

  /** Recovery codes, which are shown this once. */
  async confirmTotp(given: TotpConfirmation): Promise<string[]> {
    return (await this.json<RecoveryCodes>("PUT", "/me/totp", given)).recovery_codes;
  }

  async removeTotp(password: string): Promise<void> {
    await this.request("DELETE", "/me/totp", async () => undefined, { body: JSON.stringify({ password }) });
  }

  /** Where the person is signed in; `account`: somebody else, for an administrator. */
  async signIns(account?: string): Promise<SignInView[]> {
    const query = account === undefined ? "" : `?${new URLSearchParams({ account })}`;
    return (await this.json<SignInsView>("GET", `/sessions${query}`)).sessions;
  }

  async endSignIn(id: string): Promise<void> {
    await this.request("DELETE", `/sessions/${id}`, async () => undefined);
  }

  /** One's own API tokens. */
  async tokens(): Promise<TokenView[]> {
    return (await this.json<TokensView>("GET", "/tokens")).tokens;
  }

  /** The answer's token is shown this once. */
  addToken(token: NewToken): Promise<NewTokenView> {
    return this.json("POST", "/tokens", token);
  }

  async accounts(): Promise<AccountView[]> {
    return (await this.json<AccountsView>("GET", "/accounts")).accounts;
  }

  addAccount(account: NewAccount): Promise<AccountView> {
    return this.json("POST", "/accounts", account);
  }

  updateAccount(name: string, changes: AccountChange): Promise<AccountView> {
    return this.json("PATCH", `/accounts/${encodeURIComponent(name)}`, changes);
  }

  async removeAccount(name: string): Promise<void> {
    await this.request("DELETE", `/accounts/${encodeURIComponent(name)}`, async () => undefined);
  }

  async grants(): Promise<GrantView[]> {
    return (await this.json<GrantsView>("GET", "/grants")).grants;
  }

  addGrant(grant: NewGrant): Promise<GrantView> {
    return this.make("/grants", grant);
  }

  async removeGrant(id: string): Promise<void> {
    await this.request("DELETE", `/grants/${id}`, async () => undefined);
  }

  /** Who did what; `query` is of `auditQuery`. */
  audit(query: URLSearchParams): Promise<AuditView> {
    return this.json("GET", `/audit?${query}`, undefined, AUDIT_LIMIT_MS);
  }

  auditCsvUrl(query: URLSearchParams): string {
    return `${this.base}/audit.csv?${query}`;
  }

  /** The signed daily digests, each held against the entries that are kept. */
  async auditDigests(): Promise<DigestEntry[]> {
    return (await this.json<DigestsView>("GET", "/audit/digests", undefined, AUDIT_LIMIT_MS)).digests;
  }

  async cameras(): Promise<CameraView[]> {
    const found: CameraView[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: CamerasView = await this.json("GET", `/cameras${cursor && `?cursor=${cursor}`}`);
      found.push(...page.cameras);
      cursor = page.next ?? null;
    }
    return found;
  }

  camera(id: string): Promise<CameraView> {
    return this.json("GET", `/cameras/${id}`);
  }

  addCamera(camera: CameraInput): Promise<CameraView> {
    return this.json("POST", "/cameras", camera);
  }

  /** What a source offers, before it is saved as a camera. */
  probe(source: ProbeInput): Promise<ProbeView> {
    return this.json("POST", "/probe", source, PROBE_LIMIT_MS);
  }

  updateCamera(id: string, changes: CameraPatch): Promise<CameraView> {
    return this.json("PATCH", `/cameras/${id}`, changes);
  }

  async removeCamera(id: string): Promise<void> {
    await this.request("DELETE", `/cameras/${id}`, async () => undefined);
  }

  startImport(csv: Blob, dryRun: boolean): Promise<ImportJob> {
    const path = `/imports${dryRun ? "?dry_run=true" : ""}`;
    const options = { body: csv, type: "text/csv", limitMs: IMPORT_LIMIT_MS };
    return this.request("POST", path, (response) => response.json() as Promise<ImportJob>, options);
  }

  importJob(id: string): Promise<ImportJob> {
    return this.json("GET", `/imports/${id}`);
  }

  importRows(id: string, result: ImportRow["result"], cursor: number | null): Promise<ImportRowsView> {
    const query = new URLSearchParams({ result, ...(cursor !== null && { cursor: String(cursor) }) });
    return this.json("GET", `/imports/${id}/rows?${query}`);
  }

  async endImport(id: string): Promise<void> {
    await this.request("DELETE", `/imports/${id}`, async () => undefined);
  }

  timeline(camera: string, fromMs: number, toMs: number): Promise<TimelineView> {
    return this.json("GET", `/cameras/${camera}/timeline?${rangeQuery(fromMs, toMs)}`);
  }

  /** The activity of any of the cameras that begins next after (1) or last before (−1) a moment. */
  async nextActivity(cameras: readonly string[], atMs: number, by: 1 | -1): Promise<BusyView | null> {
    const query = new URLSearchParams(cameras.map((camera) => ["camera", camera]));
    query.set("at", new Date(atMs).toISOString());
    query.set("direction", by === 1 ? "forwards" : "backwards");
    return (await this.json<NextActivityView>("GET", `/activity/next?${query}`)).activity;
  }

  async busiestMinutes(cameras: readonly string[], fromMs: number, toMs: number): Promise<BusyView[]> {
    const query = rangeQuery(fromMs, toMs);
    for (const camera of cameras) query.append("camera", camera);
    return (await this.json<BusiestView>("GET", `/activity/busiest?${query}`)).minutes;
  }

  openSession(sdp: string, opening: Opening): Promise<SessionView> {
    return this.json("POST", "/wall/sessions", { sdp, ...opening });
  }

  /** `keepalive`: also sent while the page is closed. */
  closeSession(id: string): void {
    fetch(`${this.base}/wall/sessions/${id}`, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  incidents(): Promise<IncidentsView> {
    return this.json("GET", "/incidents");
  }

  openIncident(incident: IncidentInput): Promise<Incident> {
    return this.make("/incidents", incident);
  }

  updateIncident(id: string, changes: IncidentPatch): Promise<Incident> {
    return this.json("PATCH", `/incidents/${id}`, changes);
  }

  closeIncident(id: string): Promise<Incident> {
    return this.json("POST", `/incidents/${id}/close`);
  }

  reopenIncident(id: string): Promise<Incident> {
    return this.json("POST", `/incidents/${id}/reopen`);
  }

  addRemark(id: string, text: string): Promise<Incident> {
    return this.make(`/incidents/${id}/remarks`, { text });
  }

  incidentReportUrl(id: string): string {
    return `${this.base}/incidents/${id}/report.html`;
  }

  /** What happened in the last hours, newest first. */
  async recentEvents(): Promise<EventView[]> {
    return (await this.json<RecentView>("GET", "/events/recent")).events;
  }

  async acknowledge(events: AcknowledgedEvent[]): Promise<void> {
    const body = JSON.stringify({ events });
    await this.request("POST", "/events/acknowledge", async () => undefined, { body });
  }

  layouts(): Promise<LayoutsView> {
    return this.json("GET", "/layouts");
  }

  saveLayout(layout: LayoutInput): Promise<Layout> {
    return this.make("/layouts", layout);
  }

  /** A saved wall, and its revision for `updateLayout`. */
  layout(id: string): Promise<{ layout: Layout; revision: string }> {
    return this.request("GET", `/layouts/${id}`, async (response) => ({
      layout: (await response.json()) as Layout,
      // A proxy that compresses makes it a weak one.
      revision: response.headers.get("ETag")?.replace(/^W\//, "") ?? "*",
    }));
  }

  /** Rejects with `conflict` where another revision is there by now. */
  updateLayout(id: string, changes: LayoutPatch, revision: string): Promise<Layout> {
    const options = { body: JSON.stringify(changes), headers: { "If-Match": revision } };
    return this.request("PATCH", `/layouts/${id}`, (response) => response.json() as Promise<Layout>, options);
  }

  async removeLayout(id: string): Promise<void> {
    await this.request("DELETE", `/layouts/${id}`, async () => undefined);
  }

  /** From now on this person's page begins with it. */
  async openLayout(id: string): Promise<void> {
    await this.request("POST", `/layouts/${id}/open`, async () => undefined);
  }

  /** What ails the mesh itself. */
  async troubles(): Promise<Trouble[]> {
    return (await this.json<TroublesView>("GET", "/troubles")).troubles;
  }

  async exports(): Promise<ExportView[]> {
    return (await this.json<ExportsView>("GET", "/exports")).exports;
  }

  addExport(wanted: ExportRequest): Promise<ExportView> {
    return this.make("/exports", wanted);
  }

  async endExport(id: string): Promise<void> {
    await this.request("DELETE", `/exports/${id}`, async () => undefined);
  }

  async screens(): Promise<ScreenView[]> {
    return (await this.json<ScreensView>("GET", "/screens")).screens;
  }

  /** From now on the screen shows a wall or a tour; nothing where neither is given. */
  showOnScreen(name: string, order: ScreenOrderInput): Promise<Screen> {
    return this.json("PUT", `/screens/${name}`, order);
  }

  async removeScreen(name: string): Promise<void> {
    await this.request("DELETE", `/screens/${name}`, async () => undefined);
  }

  async screenIsHere(name: string): Promise<void> {
    await this.json("POST", `/screens/${name}/here`);
  }

  screenStreamUrl(name: string): string {
    return `${this.base}/screens/${name}/stream`;
  }

  async tours(): Promise<Tour[]> {
    return (await this.json<ToursView>("GET", "/tours")).tours;
  }

  saveTour(tour: TourInput): Promise<Tour> {
    return this.make("/tours", tour);
  }

  async removeTour(id: string): Promise<void> {
    await this.request("DELETE", `/tours/${id}`, async () => undefined);
  }

  get mapUrl(): string {
    return `${location.origin}${this.base}/map.pmtiles`;
  }

  /** Whether the wall has a file of the city. */
  hasMap(): Promise<boolean> {
    return this.request("HEAD", "/map.pmtiles", async () => true).catch(() => false);
  }

  get eventsUrl(): string {
    return `${this.base}/events`;
  }

  /** The coverage statement of the catalogue's cameras. */
  coverage(fromMs: number, toMs: number): Promise<CoverageView> {
    return this.json("GET", `/coverage?${rangeQuery(fromMs, toMs)}`);
  }

  /** A JPEG; the times on it are written in the offset of `from`. */
  contactSheet(camera: string, from: string, to: string, columns: number, rows: number): Promise<Blob> {
    const query = new URLSearchParams({ from, to, columns: String(columns), rows: String(rows) });
    return this.request("GET", `/cameras/${camera}/contact-sheet.jpg?${query}`, (response) => response.blob());
  }

  /** A still of a recording: the picture of that moment, else the keyframe at or before it. */
  still(camera: string, atMs: number, widthPx: number, exact: boolean): Promise<Blob> {
    const query = new URLSearchParams({ at: new Date(atMs).toISOString(), width: String(widthPx) });
    query.set("picture", exact ? "exact" : "keyframe");
    return this.request("GET", `/cameras/${camera}/snapshot.jpg?${query}`, (response) => response.blob());
  }

  /** A still of a camera: its newest keyframe, or the one at or before `atMs`. */
  snapshotUrl(camera: string, atMs?: number, widthPx?: number): string {
    const query = new URLSearchParams();
    if (atMs !== undefined) {
      query.set("at", new Date(atMs).toISOString());
      query.set("picture", "keyframe");
    }
    if (widthPx !== undefined) query.set("width", String(widthPx));
    return `${this.base}/cameras/${camera}/snapshot.jpg${query.size > 0 ? `?${query}` : ""}`;
  }
}

/** Not `randomUUID`, which a page has by HTTPS alone. */
function newRequestId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function rangeQuery(fromMs: number, toMs: number): URLSearchParams {
  return new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
}
