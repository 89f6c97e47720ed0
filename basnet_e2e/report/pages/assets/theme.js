// Light or dark: as the system says until the reader chooses, and then as chosen.
const THEME_KEY = "basnet-theme";
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null; // a browser may refuse storage to pages from disk
  }
}

function applyTheme(chosen) {
  const theme = chosen || (systemDark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = theme === "dark" ? "\u2600 Light" : "\u263e Dark";
  button.title = `Switch to ${theme === "dark" ? "light" : "dark"} colours`;
  document.dispatchEvent(new Event("themechange"));
}

document.getElementById("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // It holds for this visit alone.
  }
  applyTheme(theme);
});
systemDark.addEventListener("change", () => applyTheme(storedTheme()));
applyTheme(storedTheme());
