// The video, or, where there is none that plays, its thumbnails on a clock of our own.
import { byId, clamp, clockText } from "./text.js";
import { data, duration, emit } from "./state.js";

export const video = byId("player");
const stillPicture = byId("still-picture");
let playable = false;
let wanted = 0; // seconds, until the video can seek and where there is none

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
  return bytes;
}

function nearestThumbnail(time) {
  let best = null;
  for (const each of data.thumbnails) {
    if (!best || Math.abs(each.time - time) < Math.abs(best.time - time)) best = each;
  }
  return best;
}

export const pictureUrl = (thumbnail) => `data:image/jpeg;base64,${thumbnail.image}`;
export const now = () => (playable ? video.currentTime : wanted);
export const isPlaying = () => playable && !video.paused && !video.ended;

function showStill(note) {
  playable = false;
  video.hidden = true;
  byId("still").hidden = false;
  byId("still-note").textContent = note;
  drawStill();
}

function drawStill() {
  const nearest = nearestThumbnail(wanted);
  stillPicture.hidden = !nearest;
  if (nearest) {
    stillPicture.src = pictureUrl(nearest);
    stillPicture.alt = `Frame at ${clockText(nearest.time, 1)}`;
  }
}

export function seek(time) {
  wanted = clamp(time, 0, duration);
  if (playable) video.currentTime = wanted;
  else drawStill();
  emit("time");
}

export function toggle() {
  if (!playable) return;
  if (video.paused) video.play().catch(() => {});
  else video.pause();
}

function follow() {
  emit("time");
  if (isPlaying()) requestAnimationFrame(follow);
}

/** What a page can do about a video that this browser does not play; it may give another source. */
export const remedies = { play: null };

/** Play another file of the same video. */
export function giveSource(source) {
  byId("still").hidden = true;
  video.hidden = false;
  video.src = source;
}

function cannotPlay(note) {
  showStill(note);
  if (remedies.play) remedies.play(byId("still-note"));
}

export function openVideo() {
  const bytes = byId("video-bytes");
  const name = data.document.file || data.document.video;
  if (!bytes && !data.source) {
    showStill(`${name} was not found when this page was made.`);
    return;
  }
  byId("still").hidden = true;
  video.hidden = false;
  video.addEventListener("loadedmetadata", () => {
    if (!video.videoWidth) {
      cannotPlay(`This browser cannot show the picture of ${name}. The timeline and frames still work.`);
      return;
    }
    playable = true;
    if (wanted) video.currentTime = wanted;
  });
  video.addEventListener("error", () => {
    const where = bytes ? "" : ", or it is no longer where it was";
    cannotPlay(`This browser cannot play ${name}${where}. The timeline and frames still work.`);
  });
  for (const event of ["timeupdate", "seeked", "pause"]) {
    video.addEventListener(event, () => {
      wanted = video.currentTime;
      emit("time");
    });
  }
  video.addEventListener("play", follow);
  if (bytes) {
    video.src = URL.createObjectURL(new Blob([bytesOf(bytes.textContent)], { type: data.type }));
    bytes.remove();
  } else {
    video.src = data.source;
  }
}
