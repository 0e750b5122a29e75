import { describe, expect, it } from "vitest";
import { isMessageKey } from "../src/i18n/index.js";
import { ACCOUNT_NAME, AUDIT_KINDS, auditQuery, auditSpan, optionalMoment } from "../src/model/people.js";

describe("a question to the audit", () => {
  const filter = { fromMs: 0, toMs: 60_000, camera: " cam-1 ", person: "", kind: "signed" } as const;

  it("names the time, the filters that are set, and each action of its kind", () => {
    const query = auditQuery(filter, 500);
    expect(query.get("from")).toBe("1970-01-01T00:00:00.000Z");
    expect(query.get("camera")).toBe("cam-1");
    expect(query.has("person")).toBe(false);
    expect(query.getAll("action")).toEqual(["signed-in", "signed-out", "sign-in-refused"]);
    expect(auditQuery({ ...filter, kind: "all" }, 500).has("action")).toBe(false);
  });

  it("has words for every action", () => {
    for (const action of Object.values(AUDIT_KINDS).flat()) expect(isMessageKey(`audit.action.${action}`)).toBe(true);
  });

  it("tells a view from its beginning to its end, and that one goes on", () => {
    const at = "2026-03-01T00:00:10Z";
    expect(auditSpan({ at, since: "", until: "" })).toEqual([Date.parse(at), Date.parse(at)]);
    expect(auditSpan({ at, since: "2026-03-01T00:00:00Z", until: at })[1]).toBe(Date.parse(at));
    expect(auditSpan({ at, since: at, until: "" })[1]).toBe(null);
  });
});

describe("what is entered of accounts and grants", () => {
  it("is held to the server's names", () => {
    expect(["budi", "a@b.c", "7x"].every((name) => ACCOUNT_NAME.test(name))).toBe(true);
    expect(["", "-x", "a b", "x".repeat(65)].some((name) => ACCOUNT_NAME.test(name))).toBe(false);
  });

  it("tells no time from a wrong one", () => {
    expect(optionalMoment("  ")).toBe(null);
    expect(optionalMoment("soon")).toBe(undefined);
    expect(optionalMoment("2026-03-01 07:00")).toMatch(/^2026-0[23]-\d\dT/);
  });
});
