// Opens a page in Chromium and prints, as JSON, what a person would see of it and what the browser complained of.
// node look.mjs CHROMIUM URL WIDTH light|dark

import puppeteer from "puppeteer-core";

const [chromium, url, width, scheme] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const page = await browser.newPage();
  const complaints = [];
  const fetched = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("request", (request) => fetched.push(request.url()));
  await page.setViewport({ width: Number(width), height: 800 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const answer = await page.goto(url, { waitUntil: "load" });
  const seen = await page.evaluate(() => ({
    title: document.title,
    text: document.body.innerText,
    // Nothing is wider than the window, so that nobody has to scroll sideways.
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    smallest: Math.min(...[...document.querySelectorAll("p, td, th, h1, h2, h3, footer")]
      .map((element) => parseFloat(getComputedStyle(element).fontSize))),
    ink: getComputedStyle(document.body).color,
    paper: getComputedStyle(document.body).backgroundColor,
    scripts: document.scripts.length,
    good: [...document.querySelectorAll(".good")].map((element) => element.innerText.trim()),
    bad: [...document.querySelectorAll(".bad")].map((element) => element.innerText.trim()),
  }));
  // It loads itself anew.
  const again = await page.waitForNavigation({ timeout: 30_000 }).then(() => true, () => false);
  console.log(JSON.stringify({ status: answer.status(), ...seen, again, complaints, fetched }));
} finally {
  await browser.close();
}
