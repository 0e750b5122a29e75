/** An operator's page, or a wall screen where the address names one. */

import { screenNamed } from "./app/screen.js";
import { startScale } from "./model/scale.js";
import "./ui/app-root.js";
import "./ui/screen-root.js";

const screen = screenNamed(location.pathname) !== null;
startScale(window, localStorage, screen);
document.body.append(document.createElement(screen ? "pantau-screen" : "pantau-app"));
