/** Puts a text onto the clipboard. */

type Clip = Pick<Clipboard, "writeText">;
type Copying = Pick<Document, "addEventListener" | "removeEventListener" | "execCommand">;

/**
 * False where the browser refuses. A page that came without TLS has no `navigator.clipboard` (W3C Clipboard API, secure
 * contexts only), and one in a frame may not use it; the older way works in both, while a click or key is handled.
 */
export async function copyText(
  text: string,
  clipboard: Clip | null = navigator.clipboard ?? null,
  page: Copying = document,
): Promise<boolean> {
  const written = await clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (written) return true;
  const put = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
  };
  page.addEventListener("copy", put);
  const done = page.execCommand("copy");
  page.removeEventListener("copy", put);
  return done;
}
