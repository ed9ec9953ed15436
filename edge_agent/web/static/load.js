// What is loaded when it is first wanted: the words of a language, and the screens that a seller seldom opens.
const failures = {};
const base = document.querySelector("script").src.replace(/app\.js.*/, "");
let all = false; // whether the words of all screens are wanted
let style = null;

export let words = {};

// Which edition of the page this is.
export const edition = base.split("/").slice(-2)[0];

// One module. Some browsers remember that a module could not be loaded, so it is asked for by another address then.
export const load = (name) => import(`./${name}.js${failures[name] ? `?${failures[name]}` : ""}`).catch((lost) => {
  failures[name] = (failures[name] || 0) + 1;
  throw lost;
});

// The words of a language; `more`: those of all screens.
export async function speak(language, more) {
  const names = all || more ? [language, `${language}-more`] : [language];
  const told = await Promise.all(names.map(load));
  all = names.length > 1;
  words = {};
  told.forEach((module) => Object.keys(module.words).forEach((name) => {
    const word = module.words[name];
    words[name] = typeof word === "string" || Array.isArray(word) ? word : { ...words[name], ...word };
  }));
}

const dress = () => new Promise((done, lost) => {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = `${base}more.css`;
  link.onload = done;
  link.onerror = lost;
  document.head.appendChild(link);
});

// A screen, with the style and the words that all but the counter share.
export async function screen(name, language) {
  if (!style) style = dress();
  const [module] = await Promise.all([load(name), speak(language, true), style.catch((lost) => { style = null; throw lost; })]);
  return module;
}
