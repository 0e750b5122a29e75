// Each control, heading and text that lies beyond the window where nothing can be scrolled, or beyond its tile or dialog
// sideways where it is no table: those alone may be wider than an enlarged window.
() => {
  const parentOf = (element) => element.assignedSlot ?? element.parentElement ?? element.getRootNode().host ?? null;
  const scroller = (element, axis) => {
    for (let each = parentOf(element); each; each = parentOf(each)) {
      if (/auto|scroll/.test(getComputedStyle(each)[`overflow${axis}`])) return each;
      if (each.matches("dialog")) return null;
    }
    return null;
  };
  const all = (root) =>
    [...root.querySelectorAll("*")].flatMap((each) => [each, ...(each.shadowRoot ? all(each.shadowRoot) : [])]);
  const found = [];
  for (const element of all(document)) {
    if (!element.matches("button, input, select, textarea, a, h2, h3, p, dialog") || !element.checkVisibility()) continue;
    if (element.matches(".skip, .visually-hidden")) continue;
    const { left, right, top, bottom, width, height } = element.getBoundingClientRect();
    if (width === 0 || height === 0) continue;
    const name = `${element.localName} ${element.ariaLabel ?? element.textContent.trim().slice(0, 40)}`;
    const table = element.closest("table") !== null;
    if ((left < -1 || right > innerWidth + 1) && !table) found.push([name, "sideways", Math.round(left), Math.round(right)]);
    const beyond = top < -1 || bottom > innerHeight + 1;
    if (beyond && scroller(element, "Y") === null) found.push([name, "up or down", Math.round(top), Math.round(bottom)]);
  }
  return found;
}
