// Times, scores and class colours, the same in every part of a page.
const COLOURS = {
  light: ["#2f6fde", "#d2511b", "#12855f", "#a83b97", "#a06f00", "#1f84a8", "#7252d6", "#c02f49", "#557d18", "#5d6675", "#8f5a2a", "#2f7d7a"],
  dark: ["#6ea3ff", "#ff8a5c", "#3ecf9d", "#e68ad6", "#e8b341", "#5cc4e8", "#ab93ff", "#ff7a92", "#a3cf5a", "#a8b0bd", "#d6a06f", "#7fd1cf"],
};

export const byId = (name) => document.getElementById(name);
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const toMilliseconds = (seconds) => Math.round(seconds * 1000) / 1000;

/** Seconds as m:ss or h:mm:ss with some decimals. */
export function clockText(seconds, decimals = 2) {
  const scale = 10 ** decimals;
  const ticks = Math.round(seconds * scale);
  const whole = Math.floor(ticks / scale);
  const rest = decimals ? `.${String(ticks % scale).padStart(decimals, "0")}` : "";
  const pad = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  const start = hours ? `${hours}:${pad(minutes % 60)}` : String(minutes);
  return `${start}:${pad(whole % 60)}${rest}`;
}

export const scoreText = (score) => score.toFixed(2);
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

let palette = null; // of the theme, asked for thousands of times in a frame
document.addEventListener("themechange", () => (palette = null));

export function classColour(index) {
  palette ||= COLOURS[document.documentElement.dataset.theme] || COLOURS.light;
  return palette[index % palette.length];
}

/** Text without what spreadsheets take for a formula or a new cell. */
export function cellText(text) {
  const plain = String(text).replace(/[\t\r\n]+/g, " ");
  return /^[=+\-@]/.test(plain) ? `'${plain}` : plain;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
