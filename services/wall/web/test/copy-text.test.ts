import { describe, expect, it, vi } from "vitest";
import { copyText } from "../src/app/copy-text.js";

/** A page whose copy command works, or is refused. */
class Page {
  copied = "";
  private heard: ((event: ClipboardEvent) => void) | null = null;

  constructor(private readonly allowed: boolean) {}

  addEventListener(_name: string, listener: unknown): void {
    this.heard = listener as (event: ClipboardEvent) => void;
  }

  removeEventListener(): void {
    this.heard = null;
  }

  execCommand(): boolean {
    if (!this.allowed) return false;
    const setData = (_kind: string, text: string) => {
      this.copied = text;
    };
    const event = { clipboardData: { setData }, preventDefault: () => undefined };
    this.heard?.(event as unknown as ClipboardEvent);
    return true;
  }
}

describe("a link", () => {
  it("is written by the clipboard where there is one", async () => {
    const page = new Page(true);
    const clipboard = { writeText: vi.fn(async () => undefined) };
    expect(await copyText("http://wall/#grid=4", clipboard, page)).toBe(true);
    expect(clipboard.writeText).toHaveBeenCalledWith("http://wall/#grid=4");
    expect(page.copied).toBe("");
  });

  it("is copied without one, and where it refuses", async () => {
    const refusing = { writeText: () => Promise.reject(new Error("not allowed")) };
    for (const clipboard of [null, refusing]) {
      const page = new Page(true);
      expect(await copyText("a", clipboard, page)).toBe(true);
      expect(page.copied).toBe("a");
    }
  });

  it("is not said to be copied where the browser takes none", async () => {
    expect(await copyText("a", { writeText: () => Promise.reject(new Error("no")) }, new Page(false))).toBe(false);
  });
});
