/** The picture of a tile as a file, with its camera's name and its time written below it. */

const QUALITY = 0.92;

/** `simpang-dieng_2026-11-29_19.55.00.jpg`, by the site's clock. */
export function stillName(camera: string, moment: string): string {
  const [day = "", time = ""] = moment.split(" ");
  return `${camera}_${day.split("/").reverse().join("-")}_${time.replaceAll(":", ".")}.jpg`;
}

/** Draws what the video shows and a line of text below; null where there is no picture. */
export async function stillFile(video: HTMLVideoElement, caption: string): Promise<Blob | null> {
  const { videoWidth, videoHeight } = video;
  if (videoWidth === 0) return null;
  const line = Math.max(Math.round(videoHeight / 24), 16);
  const canvas = document.createElement("canvas");
  canvas.width = videoWidth;
  canvas.height = videoHeight + line * 1.6;
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(video, 0, 0);
  context.fillStyle = "#fff";
  context.font = `${line}px sans-serif`;
  context.textBaseline = "middle";
  context.fillText(caption, line / 2, videoHeight + line * 0.8, videoWidth - line);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
