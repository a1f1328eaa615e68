// Looks at the pages of two boards as people do, in a browser, and prints a line as each step is seen:
//   node watch.mjs <directory for pictures> <url> <url>
// All boards are ready and four tasks run on them; then, once a plug is pulled, a board is down and the four
// are on the others, and run there. Then the pages stay open, whatever happens, until one task is left, and what they
// hold is compared with what they held before.
import { chromium } from "playwright-core";

const [dir, ...urls] = process.argv.slice(2);
const patience = 150_000; // ms; the machine may be slow

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const complaints = [];
const pages = [];
for (const [i, url] of urls.entries()) {
  const phone = i === 1;
  const page = await browser.newPage({
    locale: phone ? "es-ES" : "en-GB", isMobile: phone,
    viewport: phone ? { width: 390, height: 844 } : { width: 1180, height: 720 },
  });
  page.setDefaultTimeout(patience);
  page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("request", (r) => r.url().startsWith(url) || complaints.push(`asks ${r.url()}`));
  await page.goto(url);
  pages.push(page);
}

const shown = ([ready, down, task, want]) => {
  const boards = [...document.querySelectorAll(".board")];
  const on = (state) => boards.filter((b) => b.classList.contains(state));
  const tasks = on("ready").flatMap((b) => [...b.querySelectorAll(task)]);
  return on("ready").length === ready && on("down").length === down && boards.length === ready + down &&
    tasks.length === want;
};
const all = async (what, ready, down, task, want = 4, timeout = patience) => {
  const began = Date.now();
  const times = await Promise.all(pages.map(async (p) => {
    await p.waitForFunction(shown, [ready, down, task, want], { polling: 200, timeout });
    return Date.now() - began;
  }));
  console.error(`${what} after ${times} ms`);
  console.log(what);
};

const running = ".task:not(.pending)";
await all("ready", 3, 0, running);
await all("moved", 2, 1, ".task");
await all("running", 2, 1, running);
await pages[0].waitForFunction(() => document.getAnimations().length === 0);
for (const [i, page] of pages.entries()) {
  await page.screenshot({ path: `${dir}/${["page", "page-phone"][i]}.png`, fullPage: true });
}
console.log(await pages[0].innerText("#events"));
console.log(await pages[1].innerText("h1"));

// What the pages hold once what they need no longer is swept up: bytes of JavaScript, and elements.
const held = async () => Promise.all(pages.map(async (p) => {
  const tools = await p.context().newCDPSession(p);
  await tools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await tools.send("Runtime.getHeapUsage");
  return [usedSize, await p.evaluate(() => document.getElementsByTagName("*").length)];
}));
const before = await held();
console.log("held");
await all("left open", 2, 1, running, 1, 0); // for as long as the test takes
for (const [i, [bytes, elements]] of (await held()).entries()) {
  console.log(`page ${i} holds ${bytes} bytes and ${elements} elements, before ${before[i][0]} and ${before[i][1]}`);
  // Events are kept up to a number, and each is a line.
  if (elements > before[i][1] + 150) complaints.push("the page grows");
}
await browser.close();
console.log(complaints.length ? "complaints: " + complaints.join("; ") : "no complaints");
