/** An operator's page, or a wall screen where the address names one. */

import { screenNamed } from "./app/screen.js";
import "./ui/app-root.js";
import "./ui/screen-root.js";

document.body.append(document.createElement(screenNamed(location.pathname) === null ? "pantau-app" : "pantau-screen"));
