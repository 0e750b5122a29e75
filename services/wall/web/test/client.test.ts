import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Api, ApiError } from "../src/api/client.js";

describe("the client", () => {
  let answered: boolean[];
  let api: Api;

  beforeEach(() => {
    vi.useFakeTimers();
    // Node's own runs on the real clock.
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException("signal timed out", "TimeoutError")), ms);
      return controller.signal;
    });
    answered = [];
    api = new Api((yes) => answered.push(yes));
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  /** A server that answers after `headMs`, and sends the body `bodyMs` later. */
  function serve(body: string, headMs: number, bodyMs = 0): void {
    const later = <T>(ms: number, signal: AbortSignal | null | undefined, value: () => T) =>
      new Promise<void>((resolve, reject) => {
        setTimeout(() => resolve(), ms);
        signal?.addEventListener("abort", () => reject(signal.reason));
      }).then(value);
    vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) =>
      later(headMs, signal, () => {
        const response = new Response(body);
        response.json = () => later(bodyMs, signal, () => JSON.parse(body));
        return response;
      }),
    );
  }

  const outcome = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

  it("waits for the start of an import whose answer takes a minute", async () => {
    serve('{"added": 2000}', 60_000);
    const report = outcome(api.startImport(new Blob(["name"]), false));
    await vi.advanceTimersByTimeAsync(60_001);
    expect(await report).toEqual({ added: 2000 });
    expect(answered).toEqual([true]);
  });

  it("fails as every request does when an answer breaks off, or is no JSON", async () => {
    serve('{"cameras": []}', 10, 60_000);
    const broken = outcome(api.cameras());
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await broken).toMatchObject({ status: 0, code: "no-answer" });
    expect(await broken).toBeInstanceOf(ApiError);
    serve("<html>", 0);
    const page = outcome(api.me());
    await vi.advanceTimersByTimeAsync(10);
    expect(await page).toBeInstanceOf(ApiError);
    expect(answered).toEqual([false, false]);
  });

  it("asks for the same thing again after a lost answer, and for another one once it was answered", async () => {
    const asked: Record<string, unknown>[] = [];
    const answers: (number | "lost")[] = ["lost", 503, 201, 201, 403, 201];
    vi.stubGlobal("fetch", async (_: string, { body }: RequestInit) => {
      asked.push(JSON.parse(String(body)));
      const status = answers.shift();
      if (status === "lost" || status === undefined) throw new TypeError("the connection broke");
      return new Response("{}", { status });
    });
    const save = (name: string) => outcome(api.saveTour({ name, steps: [{ cameras: ["a"] }] }));
    for (const name of ["Rounds", "Rounds", "Rounds", "Rounds", "Night", "Night"]) await save(name);
    const ids = asked.map(({ request_id }) => request_id);
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect([ids[1], ids[2]]).toEqual([ids[0], ids[0]]);
    expect(new Set(ids).size).toBe(4);
  });
});
