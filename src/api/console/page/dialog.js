// Asking before something is done: what will happen, and why it is wanted. The browser's own dialog keeps the focus, and gives it back.

import { Problem } from "./api.js";
import { el, prose, show, tell } from "./dom.js";

/** As long as the gateway takes a reason, in characters. */
const LONGEST = 500;
let number = 0;

/**
 * Asks, and does it. `says` is what will happen; `fields` are further elements to fill in; `act` is called with the reason, and what it
 * returns is told. What the gateway refuses is told in the dialog, which stays open. Resolves to whether it was done.
 */
export function confirm({ title, says, fields = [], verb, danger = false, act }) {
  number += 1;
  const [head, why, more] = ["head", "why", "more"].map((name) => `dialog-${number}-${name}`);
  const reason = el("input", { id: why, type: "text", required: true, maxlength: LONGEST, autocomplete: "off", "aria-describedby": more });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const submit = el("button", { type: "submit", class: danger ? "danger" : "main" }, verb);
  const close = el("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Cancel");
  const form = el("form", { method: "dialog" },
    el("h2", { id: head }, title), el("div", { class: "says" }, says), fields,
    el("label", { for: why }, "Why"), reason,
    el("p", { class: "soft", id: more }, "Stands in the audit, with the name of your token."),
    wrong, el("div", { class: "buttons" }, close, submit));
  const dialog = el("dialog", { "aria-labelledby": head }, form);
  return new Promise((resolve) => {
    let done = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (submit.disabled) return;
      if (reason.value.trim() === "") {
        show(wrong, "Say why: one word is enough.");
        reason.focus();
        return;
      }
      submit.disabled = true;
      try {
        const told = await act(reason.value.trim());
        done = true;
        dialog.close();
        tell(told);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        show(wrong, error.status === 403 ? prose("Your token may look, and not change anything. It takes one with the role `operate`.") : `${error.message}.`);
      } finally {
        submit.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
    reason.focus();
  });
}
