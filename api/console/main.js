import { listenForKey, watchConnection } from "./ask.js";
import { restartCharts, startCharts } from "./charts.js";
import { loadItems, startItems } from "./items.js";
import { at } from "./page.js";
import { startReceipts } from "./receipt.js";
import { loadReference } from "./reference.js";

/** The console page: what is asked at the start, and again when the API or the key has changed. */

at("theme").addEventListener("change", () => {
  document.documentElement.style.colorScheme = at("theme").value;
});
listenForKey(refresh);
watchConnection(refresh);
startItems();
startReceipts();
startCharts();
loadItems();
loadReference();

function refresh() {
  loadItems();
  restartCharts();
  if (!at("operations").firstChild) loadReference();
}
