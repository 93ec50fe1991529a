// What every page starts with. Each module looks for the attributes it serves; a page without them costs nothing.
import "./connection.js";
import "./copy.js";
import "./dialogs.js";
import "./login.js";
import "./morphing.js";
import "./polling.js";
import "./preferences.js";
import "./share.js";
import "./toasts.js";
