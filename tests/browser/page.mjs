// Drives the dashboard's page as a person does. Asks the test, by a line on stdout, for what
// happens on the other side, and goes on when it says so. Ends with 1 at the first thing that is
// not as it should be.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { strict as assert } from "node:assert";

const [playwright, chromium, link, evil] = process.argv.slice(2);
const { chromium: browserType } = createRequire(join(playwright, "x"))("playwright-core");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const pictures = process.env.DEVMESH_SCREENSHOTS;

async function other(what) {
  process.stdout.write(`${what}\n`);
  await lines.next();
}

const browser = await browserType.launch({
  executablePath: chromium,
  // Where tests run as root in a container there is no sandbox to be had.
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
const page = await context.newPage();
page.setDefaultTimeout(15000);
const complaints = [];
let away = false;
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => {
  if (message.type() === "error" && !away) complaints.push(message.text());
});
page.on("request", (request) => {
  if (new URL(request.url()).host !== new URL(link).host) complaints.push(`asked for ${request.url()}`);
});

const picture = async (name) => {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) });
};
const row = (title) => page.locator("#task-rows tr", { hasText: title });
const toast = (text) => page.locator("#toasts p", { hasText: text }).waitFor();

try {
  await page.goto(link);
  assert.equal(new URL(page.url()).search, "", "the ticket does not stay in the address");
  await page.locator("#link[data-link=live]").waitFor();
  await row("Accept tabs").waitFor();
  assert.equal(await page.locator("#agents li").count(), 3);
  assert.equal(await page.locator("#hosts li").count(), 2);
  await page.locator("#leases li", { hasText: "docs/errors.md" }).getByText("waits for alice").waitFor();
  await picture("light");

  await other("appear");
  await row("It appears by itself").waitFor();

  await other("evil");
  await page.locator("#task-rows tr", { hasText: "onerror" }).waitFor();
  const shown = await page.locator("#task-rows tr", { hasText: "onerror" }).locator(".title").textContent();
  assert.equal(shown, evil.replace("\u202e", "⟨U+202E⟩").replace("\u2069", "⟨U+2069⟩"));
  assert.equal(await page.evaluate(() => window.evil), undefined);
  assert.equal(await page.locator("#task-rows img, #events img, #task-rows script").count(), 0);

  await page.keyboard.press("n");
  await page.getByLabel("Title").fill("Added in the browser");
  await page.getByLabel("What is to be done").fill("First this.\nThen that.");
  await page.getByLabel("Paths").fill("src/a.rs\nsrc/b/\n");
  await page.getByLabel("Priority").selectOption("0");
  await page.getByLabel("Review").selectOption("agent");
  await page.getByLabel("Commands that prove it").fill("cargo test -p a");
  await picture("add");
  await page.getByRole("button", { name: "Add the task" }).click();
  await row("Added in the browser").waitFor();

  await page.keyboard.press("n");
  await page.getByLabel("Title").fill("Out of the repository");
  await page.getByLabel("Paths").fill("../etc/passwd");
  await page.getByRole("button", { name: "Add the task" }).click();
  await page.locator("#add-wrong", { hasText: /path/i }).waitFor();
  await page.keyboard.press("Escape");

  await row("It appears by itself").click();
  await page.getByRole("button", { name: "Cancel the task" }).click();
  await page.getByLabel("Why").fill("it was a test");
  await page.getByRole("button", { name: "Yes: cancel the task" }).click();
  await page.locator("#closely .state[data-s=cancelled]").waitFor();
  await page.keyboard.press("Escape");

  await row("Accept tabs").click();
  await page.locator("#closely", { hasText: "codex-1" }).locator("text=cargo test --workspace").first().waitFor();
  await page.locator("#closely").getByText("The lexer refuses tabs.").waitFor();
  await picture("closely");
  await page.keyboard.press("Escape");

  await page.locator("#needs").getByText("Warn, or fail?").waitFor();
  await page.locator("#needs").getByRole("button", { name: "warn" }).click();
  await toast("is answered");
  await page.locator("#needs").getByRole("button", { name: "Approve" }).click();
  await toast("approved");

  await page.locator("#filter").fill("release");
  await row("Accept tabs").waitFor({ state: "detached" });
  assert.equal(await page.locator("#task-rows tr").count(), 1);
  await page.locator("#filter").fill("");

  await page.emulateMedia({ colorScheme: "dark" });
  await picture("dark");
  await page.setViewportSize({ width: 420, height: 900 });
  await picture("narrow");
  await page.setViewportSize({ width: 1440, height: 1000 });

  away = true;
  await other("away");
  await page.locator("#banner:not([hidden])").waitFor();
  await picture("away");
  await other("back");
  await row("Added while away").waitFor({ timeout: 30000 });
  await page.locator("#link[data-link=live]").waitFor();

  const stranger = await (await browser.newContext()).newPage();
  const answer = await stranger.goto(link);
  assert.equal(answer.status(), 401, "a link signs in once");
  await stranger.getByText("devmesh up").waitFor();
  if (pictures) await stranger.screenshot({ path: join(pictures, "sign_in.png") });

  assert.deepEqual(complaints, []);
} catch (error) {
  console.error(error, complaints);
  if (pictures) await page.screenshot({ path: join(pictures, "failed.png") }).catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
