// Looks at the page of a whole class as people do, in a browser, and prints what is hard to read on it:
//   node classroom.mjs <directory for pictures> <url>
// Once it has printed "drawn", one more board is to go down, and its tasks to another.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [dir, url] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const smallest = 12; // px of letters
const boards = 30;

const screens = [
  { name: "projector", width: 1920, height: 1080, locale: "en-GB", colorScheme: "light" },
  { name: "laptop", width: 1180, height: 720, locale: "es-ES", colorScheme: "dark" },
  { name: "phone", width: 390, height: 844, locale: "es-ES", colorScheme: "light", isMobile: true },
];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const complaints = [];
const pages = [];
for (const { name, width, height, ...as } of screens) {
  const page = await browser.newPage({ viewport: { width, height }, ...as });
  page.on("console", (m) => m.type() === "error" && complaints.push(`${name}: ${m.text()}`));
  page.on("pageerror", (e) => complaints.push(`${name}: ${e}`));
  await page.goto(url);
  pages.push([name, page]);
}
const settled = async (page, down) => {
  await page.waitForFunction(([all, down]) => document.querySelectorAll(".board").length === all &&
    document.querySelectorAll(".board.down").length === down, [boards, down]);
  await page.waitForFunction(() => document.getAnimations().length === 0);
};

// What is cut off, lies over something else, or is small.
const look = ([smallest]) => {
  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`it is ${wide} px wide`);
  const all = [...document.querySelectorAll(".board")];
  const overlap = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 &&
    a.top < b.bottom - 1 && b.top < a.bottom - 1;
  for (const [i, b] of all.entries()) {
    const box = b.getBoundingClientRect();
    const ports = parseFloat(getComputedStyle(b, "::after").width) + parseFloat(getComputedStyle(b, "::after").right);
    const words = [...b.querySelectorAll("*")]
      .filter((e) => e.checkVisibility() && !e.childElementCount && e.textContent.trim());
    for (const e of words) {
      const text = document.createRange();
      text.selectNodeContents(e);
      const is = text.getBoundingClientRect();
      if (is.left < box.left || is.right > box.right - ports || is.top < box.top || is.bottom > box.bottom) {
        found.push(`"${e.textContent}" leaves its board`);
      }
    }
    if (all.slice(0, i).some((o) => overlap(box, o.getBoundingClientRect()))) {
      found.push(`board ${i} lies over another`);
    }
  }
  for (const e of document.querySelectorAll("body *")) {
    const size = parseFloat(getComputedStyle(e).fontSize);
    const text = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (text && e.checkVisibility() && size < smallest) found.push(`"${e.textContent}" has ${size} px`);
  }
  return found;
};

for (const [name, page] of pages) {
  await settled(page, 3);
  const found = await page.evaluate(look, [smallest]);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run({
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  for (const v of violations) {
    found.push(`${v.help}: ${v.nodes.map((n) => n.target).slice(0, 3).join(", ")} (${v.nodes.length})`);
  }
  complaints.push(...found.map((f) => `${name}: ${f}`));
  const last = await page.evaluate(() => document.querySelector("#boards").getBoundingClientRect().bottom + scrollY);
  console.log(`${name}: the boards end ${Math.round(last)} px from the top`);
  if (name === "projector" && last > page.viewportSize().height) {
    complaints.push(`${name}: not all boards are seen at once`);
  }
  await page.screenshot({ path: `${dir}/page-class-${name}.png`, fullPage: name !== "projector" });
}
console.log("drawn");
const began = Date.now();
for (const [name, page] of pages) {
  await settled(page, 4);
  console.log(`${name}: ${await page.innerText("#events li:last-child")}`);
}
console.log(`one more is down on all after ${Date.now() - began} ms`);
await browser.close();
console.log(complaints.length ? "complaints: " + complaints.join("; ") : "no complaints");
