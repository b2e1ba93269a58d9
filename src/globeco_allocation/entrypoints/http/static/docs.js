// The document stands beside this script's folder, whatever prefix a gateway puts before both.
const openapi = new URL("../openapi.json", document.currentScript.src).href;

SwaggerUIBundle({
  url: openapi,
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null, // no third party is asked about the document
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
