// Two tones that cannot be mistaken for one another, and a buzz on phones. Never the only sign of anything.
import { s } from "./state.js";

let audio = null;

// Browsers let a page sound only after the first touch or key.
export function unlock() {
  const Kind = window.AudioContext || window.webkitAudioContext;
  if (!audio && Kind) audio = new Kind();
  if (audio && audio.state === "suspended") audio.resume();
}

function tone(hertz, ms, shape) {
  if (s.sound === "off" || !audio || audio.state !== "running") return;
  const source = audio.createOscillator();
  const level = audio.createGain();
  const now = audio.currentTime;
  source.type = shape;
  source.frequency.value = hertz;
  level.gain.setValueAtTime(0.25, now);
  level.gain.exponentialRampToValueAtTime(0.001, now + ms / 1000);
  source.connect(level);
  level.connect(audio.destination);
  source.start(now);
  source.stop(now + ms / 1000);
}

function buzz(pattern) {
  const touched = !navigator.userActivation || navigator.userActivation.hasBeenActive;
  if (navigator.vibrate && touched) navigator.vibrate(pattern);
}

export function good() {
  tone(880, 80, "sine");
  buzz(40);
}

export function bad() {
  tone(220, 300, "square");
  buzz([80, 60, 80]);
}
