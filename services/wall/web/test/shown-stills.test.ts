import type { ReactiveController, ReactiveControllerHost } from "lit";
import { afterEach, expect, it, vi } from "vitest";
import { ShownStills } from "../src/ui/shown-stills.js";

const still = new Blob(["picture"]);

function component(): { stills: ShownStills; leave: () => void } {
  const controllers: ReactiveController[] = [];
  const host: ReactiveControllerHost = {
    addController: (each) => void controllers.push(each),
    removeController: () => undefined,
    requestUpdate: () => undefined,
    updateComplete: Promise.resolve(true),
  };
  return { stills: new ShownStills(host), leave: () => controllers.map((each) => each.hostDisconnected?.()) };
}

afterEach(() => vi.restoreAllMocks());

it("gives every still back, when others are asked for and when its component goes", () => {
  const given: string[] = [];
  vi.spyOn(URL, "revokeObjectURL").mockImplementation((address) => void given.push(address));
  const { stills, leave } = component();
  const first = stills.ask();
  const shown = [first.show(still), first.show(still)];
  expect(given).toEqual([]);
  const second = stills.ask();
  expect(given).toEqual(shown);
  const last = second.show(still);
  leave();
  expect(given).toEqual([...shown, last]);
});

it("shows no still that came after others were asked for, or after its component went", () => {
  const made = vi.spyOn(URL, "createObjectURL");
  const { stills, leave } = component();
  const first = stills.ask();
  const second = stills.ask();
  expect([first.wanted(), second.wanted()]).toEqual([false, true]);
  expect(first.show(still)).toBeNull();
  leave();
  expect(second.show(still)).toBeNull();
  expect(made).not.toHaveBeenCalled();
});
