// The room's page, live. Each part is a module of its own, named for what it is about; without this the page works
// with forms.
import { form, newest, times } from "./page.js";
import { days } from "./lines.js";
import * as composer from "./composer.js";
import * as connection from "./connection.js";
import * as forms from "./forms.js";
import * as keys from "./keys.js";
import * as names from "./names.js";
import * as read from "./read.js";
import * as scroll from "./scroll.js";

days();
scroll.start();
forms.start();
keys.start();
if (form) {
  names.start();
  composer.start(newest);
}
if (newest) {
  read.start();
  connection.start();
}
times();
