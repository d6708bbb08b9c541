// Hands a file to the browser's own downloads.

const REVOKE_AFTER_MS = 60_000;

/** Saves bytes that are in memory. */
export function saveBytes(bytes: Uint8Array<ArrayBuffer>, name: string, mediaType: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: mediaType }));
  click(url, name);
  // The browser reads the URL some time after the click.
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
}

/** Downloads a URL whose server names the file, without its bytes passing through the page. */
export function saveUrl(url: string, name: string): void {
  click(url, name);
}

function click(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.rel = "noopener";
  document.body.append(link);
  link.click();
  link.remove();
}
