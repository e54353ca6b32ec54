/* One question at a time: shows it, takes the answer, and goes on once the server has kept it. */
"use strict";

const find = (id) => document.getElementById(id);
const answers = document.body.dataset.answers.split(",");
const pairs = answers.includes("left");
const slots = pairs ? [find("left"), find("right")] : [find("one")];
const choices = [...document.querySelectorAll("[data-answer]")];
const KEYS = pairs
  ? { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", " ": "tie" }
  : { ArrowLeft: "no", ArrowRight: "yes", n: "no", y: "yes" };
const RETRY = 2000, LOOK_AGAIN = 10000, HASTY = 200; // ms; an answer sooner than HASTY was meant for the question before

let state = null, shownAt = 0, ready = false, busy = false, preloaded = [];

async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" },
  };
  for (;;) {
    try {
      const answer = await fetch(path, { cache: "no-store", ...options });
      if (answer.status === 401) { location.assign("/"); return new Promise(() => {}); }
      const found = await answer.json();
      if (answer.ok) { return found; }
      say(found.error || "The server answers with an error.", true);
    } catch (error) {
      say("The server cannot be reached. Your last answer is kept here and sent again; leave this page open.", true);
    }
    await new Promise((done) => setTimeout(done, RETRY));
  }
}

function say(text, bad) {
  const place = find("message");
  place.textContent = text;
  place.className = bad ? "wrong" : "";
  place.hidden = !text;
}

function enable() {
  const decided = ready && !busy;
  for (const each of choices) { each.disabled = !decided; }
  find("undo").disabled = busy || !state || !state.undoable;
  find("skip").disabled = busy || !state || !state.current;
  find("zoom").disabled = !ready;
}

function picture(address, number) {
  const image = new Image();
  image.alt = pairs ? (number ? "Right picture" : "Left picture") : "Picture";
  image.draggable = false;
  image.src = address;
  return image;
}

async function show(next) {
  state = next;
  ready = false;
  for (const each of choices) { each.classList.remove("chosen"); }
  zoom(false);
  const { own, done, wanted } = state;
  find("bar").max = Math.max(wanted, 1);
  find("bar").value = Math.min(done, wanted);
  find("count").textContent = `you ${own.toLocaleString("en")} · all raters ${done.toLocaleString("en")} of ${wanted.toLocaleString("en")}`;
  document.body.classList.toggle("over", !state.current);
  enable();
  if (!state.current) { over(); return; }
  const shown = state.current;
  find("stage").setAttribute("aria-busy", "true");
  const images = shown.images.map(picture);
  let whole = true;
  try {
    await Promise.all(images.map((image) => image.decode()));
  } catch (error) {
    whole = false;
  }
  if (state.current !== shown) { return; }
  if (find("caption")) {
    find("caption").textContent = shown.caption;
    find("caption").scrollTop = 0;
    shade();
  }
  slots.forEach((slot, number) => slot.replaceChildren(images[number]));
  find("stage").setAttribute("aria-busy", "false");
  shownAt = performance.now();
  ready = whole;
  say(whole ? state.refused : "A picture cannot be shown. Please skip this question.", true);
  find("spoken").textContent = shown.caption ? `Next question. Caption: ${shown.caption.slice(0, 300)}` : "Next question.";
  enable();
  preloaded = state.next ? state.next.images.map(picture) : [];
}

function shade() { // where the caption goes on below its box
  const box = find("caption");
  box.classList.toggle("more", box.scrollTop + box.clientHeight < box.scrollHeight - 2);
}

function over() {
  slots.forEach((slot) => slot.replaceChildren());
  if (find("caption")) { find("caption").textContent = ""; }
  find("stage").setAttribute("aria-busy", "false");
  if (state.waiting) {
    say("Others are answering the last questions. This page looks again by itself.");
    setTimeout(() => { if (!state.current && !busy) { change("/next"); } }, LOOK_AGAIN);
  } else {
    say(state.own ? `That was all. Thank you! You gave ${state.own.toLocaleString("en")} ${state.own === 1 ? "rating" : "ratings"}.` : "There is nothing left to rate.");
  }
}

async function change(path, body) {
  if (busy) { return; }
  busy = true;
  enable();
  const next = await call(path, body);
  say("");
  busy = false;
  await show(next);
}

function answer(name) {
  if (!ready || busy || performance.now() - shownAt < HASTY) { return; }
  const { question, rating } = state.current;
  for (const each of choices) { each.classList.toggle("chosen", each.dataset.answer === name); }
  change("/vote", { question, rating, answer: name, seconds: (performance.now() - shownAt) / 1000 });
}

function undo() { if (state && state.undoable) { change("/undo", {}); } }

function skip() {
  if (state && state.current) { change("/skip", { question: state.current.question, rating: state.current.rating }); }
}

function zoom(on) {
  if (on && !ready) { return; }
  document.body.classList.toggle("zoomed", on);
  find("zoom").setAttribute("aria-pressed", String(on));
  if (!on) { aim(0.5, 0.5); }
}

function aim(x, y) {
  for (const slot of slots) {
    for (const image of slot.children) { image.style.transformOrigin = `${100 * x}% ${100 * y}%`; }
  }
}

const zoomed = () => document.body.classList.contains("zoomed");

for (const each of choices) {
  each.addEventListener("click", (event) => {
    if (event.detail) { each.blur(); } // else the space bar would press it again
    if (zoomed() && each.classList.contains("picture")) { zoom(false); } else { answer(each.dataset.answer); }
  });
}
for (const slot of slots) {
  slot.addEventListener("pointermove", (event) => {
    const box = slot.getBoundingClientRect();
    if (zoomed()) { aim((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height); }
  });
  if (!pairs) { slot.addEventListener("click", () => zoom(!zoomed())); }
}
for (const [id, act] of [["undo", undo], ["skip", skip], ["zoom", () => zoom(!zoomed())]]) {
  find(id).addEventListener("click", (event) => {
    if (event.detail) { find(id).blur(); }
    act();
  });
}
if (find("caption")) {
  find("caption").addEventListener("scroll", shade);
  window.addEventListener("resize", shade);
}
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) { return; }
  const at = document.activeElement;
  if (event.key === " " && at && at.matches("button, summary")) { return; } // reached by the Tab key: it is pressed
  if (event.key === "ArrowDown" && at === find("caption") && at.scrollHeight > at.clientHeight) { return; } // it scrolls
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in KEYS) { event.preventDefault(); answer(KEYS[key]); }
  else if (key === "u" || key === "Backspace") { event.preventDefault(); undo(); }
  else if (key === "s") { skip(); }
  else if (key === "z") { zoom(!zoomed()); }
  else if (key === "Escape") { zoom(false); }
});

change("/next");
