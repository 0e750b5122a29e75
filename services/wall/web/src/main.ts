import "./ui/app-root.js";
