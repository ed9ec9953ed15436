// A picture from the camera or the device, kept by the gateway: `taken` gets its name, the SHA-256 of its bytes.
import { h } from "./dom.js";
import { ask, tell } from "./api.js";
import { icon } from "./icons.js";

// No larger than a tile shows it: a telephone's own pictures have megabytes.
function shrink(file, most) {
  return new Promise((done, lost) => {
    const picture = new Image();
    picture.onload = () => {
      const scale = Math.min(1, most / picture.naturalWidth);
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(picture.naturalWidth * scale));
      canvas.height = Math.max(1, Math.round(picture.naturalHeight * scale));
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      URL.revokeObjectURL(picture.src);
      canvas.toBlob(done, "image/jpeg", 0.8);
    };
    picture.onerror = lost;
    picture.src = URL.createObjectURL(file);
  });
}

async function take(file, taken, most) {
  if (!file) return;
  const answer = await (most ? shrink(file, most) : Promise.resolve(file)).then((data) => ask("/api/attachments", data), () => ({ ok: false, refused: "unknown-type" }));
  if (answer.ok) taken(answer.sha256);
  else tell(answer);
}

export const photoKey = (label, taken, most) => h("label.button.camera", icon("camera"), ` ${label}`,
  h("input", { type: "file", accept: "image/jpeg,image/png", capture: "environment", onchange: (e) => take(e.target.files[0], taken, most) }));
